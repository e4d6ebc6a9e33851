#include <array>
#include <ctime>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/listing.hpp"
#include "cli/output.hpp"
#include "cli/store_choice.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/text.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

/// Everything that the store has under one key.
struct Found {
  std::optional<Record> entry;    ///< the stored entry
  std::optional<Record> failure;  ///< the stored failure
  std::optional<Record> mark;     ///< the last run of `once`
  std::optional<Record> run;      ///< the run in progress

  [[nodiscard]] bool any() const { return entry || failure || mark || run; }
};

std::optional<Record> sound_record(const std::unique_ptr<Entry>& entry) {
  if (!entry || !entry->is_intact()) return std::nullopt;
  return entry->record();
}

Found find(Store& store, const Key& key) {
  Found found;
  found.entry = sound_record(store.look_up(key));
  found.failure = sound_record(store.look_up_failure(key));
  found.mark = store.look_up_mark(key);
  // The clients of redis-memolock do not delete their lock after they have stored a value.
  const auto watch = store.watch_run(key);
  if (watch && !(watch->run_record().foreign && found.entry)) found.run = watch->run_record();
  return found;
}

const char* end_of(const Record& record) {
  switch (record.exit_kind) {
    case ExitKind::exited:
      return "exited";
    case ExitKind::signaled:
      return "signaled";
    case ExitKind::not_started:
      return "not started";
    case ExitKind::timed_out:
      return "timed out";
  }
  return "";
}

/// A word quoted for a shell.
std::string quoted(const std::string& word) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + '\'';
}

std::string in_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + quoted(word);
  return escape_controls(text);
}

/// "2026-11-24 18:42:03", in the caller's time zone.
std::string date_of(Nanoseconds time) {
  const std::time_t whole = std::chrono::duration_cast<std::chrono::seconds>(time).count();
  std::tm parts{};
  std::array<char, 32> text{};
  if (localtime_r(&whole, &parts) == nullptr) return "-";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts)};
}

/// Collects aligned lines, each with a name and a value.
class Lines {
 public:
  void add(std::string_view name, const std::string& value) {
    text_ += fmt::format("{:<12}{}\n", name, value);
  }
  void add(std::string_view name, const std::optional<Nanoseconds>& length) {
    if (length) add(name, format_duration(*length));
  }
  void space() { text_ += '\n'; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// A ttl or retention of a record, as the caller gave it. In a record, both are measured from the
/// end of the run, but for a mark the caller gave them from its start.
Nanoseconds as_given(Nanoseconds length, const Record& record) {
  return record.disposition == Disposition::marked ? after(length, record.run_time) : length;
}

void add_result(Lines& lines, const Record& record) {
  lines.add("status", fmt::format("{}, {}", record.status, end_of(record)));
  lines.add("ended", date_of(record.ended));
  lines.add("run time", record.run_time);
  lines.add("ttl", format_duration(as_given(record.ttl, record)) +
                       (record.ttl_by_command ? ", set by the command" : ""));
  if (record.stale_by_command)
    lines.add("stale", format_duration(record.stale) + ", set by the command");
  lines.add("retained", as_given(record.retained, record));
  lines.add("stdout", format_size(record.out_size));
  lines.add("stderr", format_size(record.err_size));
  if (record.files_size > 0)
    lines.add("artifacts",
              fmt::format("{}; {}", in_words(record.artifacts), format_size(record.files_size)));
}

void add_record(Lines& lines, const Record& record, Nanoseconds now) {
  lines.space();
  const char* const what = record.disposition == Disposition::marked ? ", a run of once" : "";
  lines.add("state", std::string(state_of(record, now)) + what);
  lines.add("age", age_or_run_time(record, now));
  lines.add("time left", time_left_of(record, now));
  if (record.foreign) {
    lines.add("made by", "another program");
    if (record.disposition != Disposition::running)
      lines.add("stdout", format_size(record.out_size));
    return;
  }
  lines.add("began", date_of(record.begun));
  if (record.disposition != Disposition::running) add_result(lines, record);
  lines.add("holder", holder_of(record));
  if (!record.command.empty()) lines.add("command", in_words(record.command));
}

std::string text_of(const Key& key, const Found& found, Nanoseconds now) {
  Lines lines;
  lines.add("tag", escape_controls(key.tag));
  lines.add("id", escape_controls(key.id));
  for (const auto& record : {found.entry, found.failure, found.mark, found.run})
    if (record) add_record(lines, *record, now);
  return lines.text();
}

void set_result(Json& json, const Record& record) {
  json.set("status", record.status);
  json.set("end", end_of(record));
  json.set("ended", seconds(record.ended));
  json.set("run_time", seconds(record.run_time));
  json.set("ttl", seconds_left(as_given(record.ttl, record)));
  json.set("ttl_by_command", record.ttl_by_command);
  json.set("stale_by_command", record.stale_by_command ? seconds_left(record.stale) : Json());
  json.set("retained", seconds_left(as_given(record.retained, record)));
  json.set("stdout", record.out_size);
  json.set("stderr", record.err_size);
  json.set("artifacts", record.artifacts);
  json.set("artifacts_size", record.files_size);
}

Json json_of(const std::optional<Record>& record, Nanoseconds now) {
  if (!record) return {};
  const bool running = record->disposition == Disposition::running;
  Json json;
  json.set("state", state_of(*record, now));
  json.set("foreign", record->foreign);
  json.set("age", seconds(age_or_run_time(*record, now)));
  json.set("left", running ? Json() : seconds_left(time_left_of(*record, now)));
  if (record->foreign) {
    json.set("stdout", record->out_size);
    return json;
  }
  json.set("began", seconds(record->begun));
  if (!running) set_result(json, *record);
  json.set("host", record->holder.host);
  json.set("pid", record->holder.pid);
  json.set("command", record->command.empty() ? Json() : Json(record->command));
  return json;
}

std::string document_of(const Key& key, const Found& found, Nanoseconds now) {
  Json json;
  json.set_bytes("tag", key.tag);
  json.set_bytes("id", key.id);
  json.set("entry", json_of(found.entry, now));
  json.set("failure", json_of(found.failure, now));
  json.set("mark", json_of(found.mark, now));
  json.set("run", json_of(found.run, now));
  return json.text() + "\n";
}

}  // namespace

ProcessEnd run_show(const Options& options, const Log& log) {
  const Key key{options.tag, options.ids.back()};
  const auto store = open_store(choose_store(options, {}, log), {}, log);
  const Found found = find(*store, key);
  if (!found.any()) return {exit_status::absent};
  const Nanoseconds now = store->now();
  print("the entry", options.json ? document_of(key, found, now) : text_of(key, found, now));
  return {};
}

}  // namespace memolock
