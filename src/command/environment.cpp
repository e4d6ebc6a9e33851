#include "src/command/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "src/system/text.hpp"
#include "src/system/units.hpp"
#include "src/system/utf8.hpp"

namespace memolock {
namespace {

std::optional<Nanoseconds> parse_ttl(std::string_view text) {
  return text == "forever" ? forever : parse_duration(text);
}

/// Applies a line to `control`. Returns false if the line is invalid.
bool apply_line(Control& control, std::string_view line) {
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = line.substr(0, equals);
  const std::string_view value = line.substr(equals + 1);
  if (name == "cache") {
    control.cache = value == "yes";
    return value == "yes" || value == "no";
  }
  if (name != "ttl" && name != "stale") return false;
  const auto length = parse_ttl(value);
  if (!length) return false;
  (name == "ttl" ? control.ttl : control.stale) = length;
  return true;
}

/// A line, or its beginning, to be quoted in a message.
std::string quoted(std::string_view line) {
  const std::string_view beginning = truncate_utf8(line, 100);
  return escape_controls(beginning) + (beginning.size() < line.size() ? "..." : "");
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view whitespace = " \t\r";
  const size_t begin = text.find_first_not_of(whitespace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(whitespace) - begin + 1);
}

}  // namespace

std::vector<std::string> environment_for(const RunIdentity& run) {
  static constexpr std::array<std::string_view, 6> of_run{
      "MEMOLOCK_RUN_TAG=",   "MEMOLOCK_RUN_ID=",  "MEMOLOCK_RUN_TOKEN=",
      "MEMOLOCK_RUN_STORE=", "MEMOLOCK_CONTROL=", "MEMOLOCK_HELD="};
  constexpr std::string_view store = "MEMOLOCK_STORE=";
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const bool replaced = std::any_of(of_run.begin(), of_run.end(),
                                      [&](auto name) { return text.starts_with(name); }) ||
                          (!run.store_url.empty() && text.starts_with(store));
    if (!replaced) environment.emplace_back(text);
  }
  const auto add = [&](std::string_view name, std::string_view value) {
    environment.push_back(std::string(name) + std::string(value));
  };
  if (!run.key.id.empty()) {
    add("MEMOLOCK_RUN_TAG=", run.key.tag);
    add("MEMOLOCK_RUN_ID=", run.key.id);
  }
  add("MEMOLOCK_CONTROL=", run.control_path);
  if (!run.store_url.empty()) add(store, run.store_url);
  if (!run.promise_url.empty()) add("MEMOLOCK_RUN_STORE=", run.promise_url);
  std::vector<HeldLock> held = run.ancestors;
  if (!run.token.empty()) {
    add("MEMOLOCK_RUN_TOKEN=", run.token);
    held.push_back({run.key, run.token});
  }
  if (!held.empty()) add("MEMOLOCK_HELD=", format_held(held));
  return environment;
}

Control parse_control(std::string_view text) {
  Control control;
  while (!text.empty()) {
    const std::string_view line = trimmed(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    if (!line.empty() && !apply_line(control, line) && control.error.empty())
      control.error = "the command wrote an invalid line to MEMOLOCK_CONTROL: " + quoted(line);
  }
  return control;
}

}  // namespace memolock
