#include <fmt/format.h>

#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/store_choice.hpp"
#include "cli/table.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/stats/counters.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

void write_table(Output& output, const std::vector<TagCounts>& all) {
  using enum Table::Alignment;
  const size_t width = terminal_width();
  Table table(output,
              {{"TAG", left, 8},
               {"HITS", right, 0},
               {"MISSES", right, 0},
               {"WAITS", right, 0},
               {"STALE", right, 0},
               {"FAILURES", right, 0},
               {"SAVED", right, 0},
               {"BYTES", right, 0}},
              width);
  for (const auto& [tag, counts, since] : all) {
    const double saved = std::chrono::duration<double>(counts.saved).count();
    table.add({escape_controls(tag), std::to_string(counts.hits), std::to_string(counts.misses),
               std::to_string(counts.waits), std::to_string(counts.stale),
               std::to_string(counts.failures),
               width > 0 ? format_duration(counts.saved) : fmt::format("{:.3f}", saved),
               width > 0 ? format_size(counts.bytes) : std::to_string(counts.bytes)});
  }
  table.finish();
}

void write_document(Output& output, const std::vector<TagCounts>& all) {
  Json document = Json::array();
  for (const auto& [tag, counts, since] : all) {
    Json json;
    json.set_bytes("tag", tag);
    json.set("hits", counts.hits);
    json.set("misses", counts.misses);
    json.set("waits", counts.waits);
    json.set("stale", counts.stale);
    json.set("failures", counts.failures);
    json.set("saved", seconds(counts.saved));
    json.set("bytes", counts.bytes);
    json.set("since", seconds(since));
    document.append(std::move(json));
  }
  output.write(document.text() + "\n");
}

}  // namespace

ProcessEnd run_stats(const Options& options, const Log& log) {
  const auto directory = local_directory(choose_store(options, {}, log));
  if (!directory)
    throw store_error("no directory for the local store, which contains the counters");
  const auto tag = options.tag_on_command_line ? std::optional(options.tag) : std::nullopt;
  const auto all = read_counts(*directory, tag, options.reset ? AfterRead::reset : AfterRead::keep);
  Output output("the counters");
  if (options.json) {
    write_document(output, all);
  } else {
    write_table(output, all);
  }
  try {
    output.finish();
  } catch (const Error&) {
    if (options.reset) restore_counts(*directory, all);
    throw;
  }
  return {};
}

}  // namespace memolock
