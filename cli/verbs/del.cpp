#include <fmt/format.h>

#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/store_choice.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/store/key_containers.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

size_t count_all(Store& store, const std::string& tag, Ownership ownership) {
  NameSet ids;  // each id once, although a mark is listed in addition to an entry
  store.list(tag, [&](const ListedEntry& listing) {
    if (ownership == Ownership::any || listing.running || !listing.record.foreign)
      (void)ids.add(listing.record.key.id);
  });
  return ids.size();
}

/// Deletes the entry; with --dry-run, only looks for it. Returns whether there was anything to
/// delete.
bool forget_one(Store& store, const Key& key, const Options& options) {
  if (options.dry_run) return store.exists(key);
  // The lock is broken last, so that forget() does not affect the run of the next holder.
  const bool found = store.forget(key);
  return (options.lock && store.break_lock(key)) || found;
}

}  // namespace

ProcessEnd run_del(const Options& options, const Log& log) {
  const auto store = open_store(choose_store(options, {}, log), {}, log);
  size_t count = 0;
  const Ownership ownership = options.foreign ? Ownership::any : Ownership::own;
  if (options.all) {
    ProgressLine progress(options.log);
    store->on_progress([&](std::string_view done, size_t so_far) { progress.show(done, so_far); });
    count = options.dry_run ? count_all(*store, options.tag, ownership)
                            : store->forget_all(options.tag, ownership);
    store->on_progress([](std::string_view, size_t) {});
  }
  for (const std::string& id : options.ids)
    if (forget_one(*store, {options.tag, id}, options)) ++count;
  print("the count", fmt::format("{}\n", count));
  return {};
}

}  // namespace memolock
