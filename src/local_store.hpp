// The store that needs no server: a directory of one user's on one machine.
//
// Files, below a folder for each tag (names: key.hpp; bytes: entry.hpp):
//
// - ID.entry: what the last kept run left. Replaced by rename, read without any lock.
// - ID.lock: the run lock. Exclusive, only ever tried, never waited for. Who holds it may run the
//   command and owns every other name of the entry. Unlinked by its holder alone; who gets it
//   checks that the path still names what he locked.
// - ID.run: the run in progress, stdout as it comes. Its holder locks it exclusively before it gets
//   this name; waiters sleep in a shared lock on it. Awake, they read its fixed part through the
//   descriptor they have. Finished: it is their answer, stored or not (what is not kept has lost
//   its name, so nobody finds it later). Unfinished: its holder died, and one of them gets the run
//   lock.
// - ID.TOKEN.control: MEMOLOCK_CONTROL of that run.
//
// Locks are open-file-description locks: the kernel drops them when the holder dies, and probing
// them with F_OFD_GETLK disturbs nobody. Two locks and not one, because waiters who wake in a
// shared lock keep each other out of an exclusive one, and look like a holder to newcomers.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "src/log.hpp"
#include "src/store.hpp"

namespace memolock {

/// What to do where the directory's own name is a symbolic link.
enum class DirectoryLink { follow, refuse };

class LocalStore final : public Store {
 public:
  /// Opens `directory`, an absolute path, making it (0700) and what leads to it where missing.
  /// Throws Error(store) when it cannot, when the directory belongs to another user or when others
  /// may write in it. Keeps a reference to `log`.
  LocalStore(const std::string& directory, DirectoryLink link, const Log& log);

  [[nodiscard]] std::unique_ptr<Entry> look_up(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Lock> try_acquire(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Watch> watch(const Key& key) override;
  [[nodiscard]] bool is_locked(const Key& key) override;
  [[nodiscard]] bool knows(const Key& key) override;
  bool forget(const Key& key) override;
  size_t forget_all(const std::string& tag) override;
  void list(const std::optional<std::string>& tag,
            const std::function<void(const Listing&)>& each) override;

 private:
  bool forget_files(const EntryFiles& files);
  [[nodiscard]] bool is_foreign(const std::string& path) const;

  std::string directory_;
  const Log& log_;
  Descriptor root_;
};

}  // namespace memolock
