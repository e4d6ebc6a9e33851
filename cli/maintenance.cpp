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

/// What is wrong with them is no fault of the chosen store's.
Swept sweep_fallbacks_in(const std::string& directory, Sweep how) {
  try {
    const Descriptor root = open_store_directory(directory, DirectoryLink::refuse);
    return root ? sweep_stores(root.get(), how) : Swept{};
  } catch (const Error&) {
    return {};
  }
}

/// What callers leave that is in no store of theirs.
Swept sweep_temporary(Sweep how) {
  if (how == Sweep::real) {
    sweep_control_files();
    sweep_fifos();
  }
  Swept swept;
  for (const std::string& directory : fallback_directories())
    swept += sweep_fallbacks_in(directory, how);
  return swept;
}

Swept sweep_all(const Options& options, const StoreChoice& choice, int root, Sweep how) {
  Swept swept;
  if (choice.is_local()) {
    swept = sweep(root, options.max_size.value_or(default_max_size), how);
  } else {
    swept.bytes = drop_unused_counts(root, how);
  }
  swept += sweep_temporary(how);
  return swept;
}

/// None in a directory that is unfit.
std::optional<SweepTurn> turn_if_due(const std::string& directory) {
  try {
    return SweepTurn::take_if_due(directory);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

Swept sweep_here(const Options& options, const StoreChoice& choice, Sweep how) {
  const auto directory = directory_here(choice);
  const Descriptor root = directory ? open_store_directory(*directory, DirectoryLink::follow)
                                    : Descriptor();
  if (!root) return sweep_temporary(how);
  std::optional<SweepTurn> turn;
  if (how == Sweep::real) turn = SweepTurn::wait_for(root.get());
  return sweep_all(options, choice, root.get(), how);
}

void look_after(const Options& options, const StoreChoice& choice, const Outcome& outcome) {
  // Only it has --max-size, which the sweep needs.
  if (options.verb != Verb::get) return;
  const auto directory = directory_here(choice);
  if (!directory) return;
  count_call(*directory, options.tag, outcome,
             options.command.empty() ? Missing::leave : Missing::make);
  if (!outcome.stored) return;
  const auto turn = turn_if_due(*directory);
  if (!turn || split_off() == Side::caller) return;
  try {
    if (const Descriptor root = open_store_directory(*directory, DirectoryLink::follow))
      (void)sweep_all(options, choice, root.get(), Sweep::real);
  } catch (const Error&) {
    // Nobody is there to be told.
  }
  _exit(EXIT_SUCCESS);
}

}  // namespace memolock
