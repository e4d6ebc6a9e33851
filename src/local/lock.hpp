// The run lock of the local store: the right to run an entry's command, and the holder's operations
// on the files of the entry (local/store.hpp describes them). For callers that wait for a run, see
// local/watch.hpp; for runs whose outcome others deliver, local/promise.hpp.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/store/file_names.hpp"
#include "src/store/store.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// Tries to take the run lock of the entry with these files in the open directory of its tag, whose
/// path is `path`. Waits up to half a second for `gc`, but never for a holder. Returns a null
/// pointer if the lock is held, and nothing if the directory has been removed. Throws Error(store).
[[nodiscard]] std::optional<std::unique_ptr<Lock>> try_lock(const std::string& path,
                                                            const EntryFileNames& files,
                                                            Descriptor directory);

/// Removes the files of a run whose holder has died, unless another process has taken the lock
/// since. Throws Error(store).
void remove_dead_run(const std::string& path, const EntryFileNames& files, int directory);

}  // namespace memolock
