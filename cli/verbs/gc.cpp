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

std::string text_of(const Swept& swept, Sweep how) {
  return fmt::format("{} {} and {}, {}; {}, {} left\n",
                     how == Sweep::dry ? "would drop" : "dropped",
                     counted(swept.entries, "entry", "entries"),
                     counted(swept.leftovers, "leftover", "leftovers"), format_size(swept.bytes),
                     counted(swept.kept, "entry", "entries"), format_size(swept.kept_bytes));
}

std::string document_of(const Swept& swept, Sweep how) {
  Json json;
  json.set("dry_run", how == Sweep::dry);
  json.set("entries", swept.entries);
  json.set("leftovers", swept.leftovers);
  json.set("bytes", swept.bytes);
  json.set("kept", swept.kept);
  json.set("kept_bytes", swept.kept_bytes);
  return json.text() + "\n";
}

}  // namespace

Exit run_gc(const Options& options, const Log& log) {
  const StoreChoice choice = choose_store(options, {}, log);
  const Sweep how = options.dry_run ? Sweep::dry : Sweep::real;
  if (!choice.is_local())
    log.warn("a server drops what has expired by itself; looking after this machine's files alone");
  const Swept swept = sweep_here(options, choice, how);
  print("what was dropped", options.json ? document_of(swept, how) : text_of(swept, how));
  return {};
}

}  // namespace memolock
