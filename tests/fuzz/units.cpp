// Harness: parses durations and sizes, and the lines of MEMOLOCK_CONTROL.
#include "src/system/units.hpp"

#include "src/command/environment.hpp"
#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

const Harness units("units", [](std::string_view text) {
  if (const auto length = parse_duration(text)) {
    require(*length >= Nanoseconds(0) && *length <= std::chrono::days(100000),
            "it is within the limits");
    const std::string shown = format_duration(*length);
    const auto again = parse_duration(shown);
    require(again && *again <= *length,
            "a duration that was formatted can be parsed, and is not longer");
    require(format_duration(*again) == shown, "and is formatted in the same way again");
  }
  if (const auto size = parse_size(text)) {
    require(*size <= INT64_MAX, "a size is within the limits of a file");
    std::string shown = format_size(*size);
    shown.erase(shown.find(' '), 1);
    const auto again = parse_size(shown);
    require(again && *again <= *size, "a size that was formatted can be parsed, and is not larger");
  }
});

/// The content of the file that MEMOLOCK_CONTROL names.
const Harness control("control", [](std::string_view text) {
  const Control said = parse_control(text);
  for (const auto& length : {said.ttl, said.stale})
    require(!length || *length >= Nanoseconds(0), "no time is negative");
  const std::string last = std::string(text) + "\nttl=1s\nstale=forever\ncache=no\n";
  const Control more = parse_control(last);
  require(more.ttl == std::chrono::seconds(1) && more.stale == forever && !more.cache,
          "the last line wins");
  require(more.error == said.error, "and does not change what was wrong before");
});

}  // namespace
}  // namespace memolock::fuzz
