#include <unistd.h>

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "cli/store_choice.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/descriptor.hpp"
#include "src/error.hpp"
#include "src/units.hpp"

namespace memolock {
namespace {

std::string line_of(const Listing& listing, Nanoseconds now) {
  const Record& record = listing.record;
  const Nanoseconds left = time_left(record, now);
  const std::string holder = listing.running
                                 ? fmt::format("{}:{}", escape_controls(record.holder.host),
                                               record.holder.pid)
                                 : "-";
  const auto age = listing.running ? std::max(now - record.begun, Nanoseconds(0))
                                   : age_of(record, now);
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\n", escape_controls(record.key.tag),
                     escape_controls(record.key.id),
                     listing.running         ? "running"
                     : left > Nanoseconds(0) ? "fresh"
                                             : "stale",
                     age ? format_duration(*age) : "-",
                     !listing.running && left > Nanoseconds(0) ? format_duration(left) : "-",
                     listing.size, holder);
}

}  // namespace

Exit run_ls(const Options& options, const Log& log) {
  const auto store = open_store(choose_store(options.store), log);
  const Nanoseconds now = wall_now();
  std::string lines;
  constexpr size_t enough = 64U << 10;
  int error = 0;
  const auto tag = options.tag_on_command_line ? std::optional(options.tag) : std::nullopt;
  store->list(tag, [&](const Listing& listing) {
    lines += line_of(listing, now);
    if (lines.size() < enough || error != 0) return;
    error = write_all(STDOUT_FILENO, lines);
    lines.clear();
  });
  if (error == 0) error = write_all(STDOUT_FILENO, lines);
  if (error != 0 && !reader_has_left(error))
    throw store_error("cannot write the list: " + error_text(error));
  return {};
}

}  // namespace memolock
