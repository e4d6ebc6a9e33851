// A run in the local store: its lock and its FIFO (why both: local/store.hpp), held by the one who
// runs the command. Those who wait: local/watch.hpp.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/store/entry_file.hpp"
#include "src/store/file_names.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// Takes the run lock of the entry whose files these are, in the tag's folder `folder`, whose path
/// is `path`. Null when somebody holds it; nothing when the folder has been removed. Throws
/// Error(store).
[[nodiscard]] std::optional<std::unique_ptr<Lock>> try_lock(const std::string& path,
                                                            const EntryFileNames& files,
                                                            Descriptor folder);

/// Removes what a dead holder has left of a run. Throws Error(store).
void remove_dead_run(const std::string& path, const EntryFileNames& files, int folder);

}  // namespace memolock
