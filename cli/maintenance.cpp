#include "cli/maintenance.hpp"

#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "src/command/control_file.hpp"
#include "src/local/fifo.hpp"
#include "src/stats/counters.hpp"
#include "src/store/directory.hpp"
#include "src/system/daemonize.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

constexpr uint64_t default_max_size = 5ULL << 30;

/// Ignores errors, because they do not concern the chosen store.
GcResult sweep_fallbacks_in(const std::string& directory, GcMode mode) {
  try {
    const Descriptor root = open_store_directory(directory, SymlinkPolicy::refuse);
    return root ? collect_garbage_in_all(root.get(), mode) : GcResult{};
  } catch (const Error&) {
    return {};
  }
}

/// Removes files that callers have left outside of their stores.
GcResult sweep_temporary(GcMode mode) {
  if (mode == GcMode::remove) {
    remove_stale_control_files();
    remove_stale_fifos();
  }
  GcResult result;
  for (const std::string& directory : fallback_directories())
    result += sweep_fallbacks_in(directory, mode);
  return result;
}

GcResult sweep_all(const Options& options, const StoreChoice& choice, int root, GcMode mode) {
  GcResult result;
  if (choice.is_local()) {
    result = collect_garbage(root, options.max_size.value_or(default_max_size), mode);
  } else {
    result.bytes = remove_unused_counters(root, mode);
  }
  result += sweep_temporary(mode);
  return result;
}

/// The lock of the garbage collection if a collection is due. Nothing if it is not, or if the
/// directory is unfit.
std::optional<GcLock> turn_if_due(const std::string& directory) {
  try {
    return GcLock::acquire_if_due(directory);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

GcResult collect_local_garbage(const Options& options, const StoreChoice& choice, GcMode mode) {
  const auto directory = local_directory(choice);
  const Descriptor root = directory ? open_store_directory(*directory, SymlinkPolicy::follow)
                                    : Descriptor();
  if (!root) return sweep_temporary(mode);
  std::optional<GcLock> turn;
  if (mode == GcMode::remove) turn = GcLock::acquire(root.get());
  return sweep_all(options, choice, root.get(), mode);
}

void maintain(const Options& options, const StoreChoice& choice, const Outcome& outcome) {
  // Only `get` has --max-size, which the collection needs.
  if (options.verb != Verb::get) return;
  const auto directory = local_directory(choice);
  if (!directory) return;
  count_call(*directory, options.tag, outcome,
             options.words.empty() ? IfMissing::leave : IfMissing::make);
  if (!outcome.stored) return;
  const auto turn = turn_if_due(*directory);
  if (!turn || daemonize() == ProcessRole::caller) return;
  try {
    if (const Descriptor root = open_store_directory(*directory, SymlinkPolicy::follow))
      (void)sweep_all(options, choice, root.get(), GcMode::remove);
  } catch (const Error&) {
    // A background process has nowhere to report errors.
  }
  _exit(EXIT_SUCCESS);
}

}  // namespace memolock
