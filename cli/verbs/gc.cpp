#include <fmt/format.h>

#include "cli/json.hpp"
#include "cli/maintenance.hpp"
#include "cli/output.hpp"
#include "cli/store_choice.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

std::string counted(size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string text_of(const GcResult& result, GcMode mode) {
  return fmt::format("{} {} and {}, {}; {}, {} left\n",
                     mode == GcMode::dry_run ? "would remove" : "removed",
                     counted(result.entries, "entry", "entries"),
                     counted(result.leftovers, "leftover", "leftovers"), format_size(result.bytes),
                     counted(result.kept, "entry", "entries"), format_size(result.kept_bytes));
}

std::string document_of(const GcResult& result, GcMode mode) {
  Json json;
  json.set("dry_run", mode == GcMode::dry_run);
  json.set("entries", result.entries);
  json.set("leftovers", result.leftovers);
  json.set("bytes", result.bytes);
  json.set("kept", result.kept);
  json.set("kept_bytes", result.kept_bytes);
  return json.text() + "\n";
}

}  // namespace

ProcessEnd run_gc(const Options& options, const Log& log) {
  const StoreChoice choice = choose_store(options, {}, log);
  const GcMode mode = options.dry_run ? GcMode::dry_run : GcMode::remove;
  if (!choice.is_local())
    log.warn("a server removes expired entries by itself; removing only files of this machine");
  const GcResult result = collect_local_garbage(options, choice, mode);
  print("the result", options.json ? document_of(result, mode) : text_of(result, mode));
  return {};
}

}  // namespace memolock
