// A run in the local store: its two locks (why two: local_store.hpp), held by the one who runs the
// command and watched by those who wait.
#pragma once

#include <memory>
#include <string>

#include "src/key.hpp"
#include "src/local_entry.hpp"
#include "src/store.hpp"

namespace memolock {

/// Whether another open file holds an exclusive lock on this one. Disturbs nobody.
[[nodiscard]] bool is_held(int file);

/// Takes the run lock of the entry whose files these are, in the tag's folder `folder`, whose path
/// is `path`. Null when somebody holds it. Throws Error(store).
[[nodiscard]] std::unique_ptr<Lock> try_lock(std::string path, EntryFiles files, Descriptor folder);

/// Removes what a dead holder has left of a run. Throws Error(store).
void clear_dead(std::string path, EntryFiles files, int folder);

/// A watch on the run whose file this is, open for reading. Null when nobody is at work on it.
[[nodiscard]] std::unique_ptr<Watch> watch_run(OwnFile file, const Key& key);

}  // namespace memolock
