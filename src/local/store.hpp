// The store that needs no server: a directory of one user's on one machine.
//
// Files, below a folder for each tag (names: entry/key.hpp; bytes: entry/record.hpp):
//
// - ID.entry: what the last kept run left. Replaced by rename, read without any lock.
// - ID.failed: the same of a failure. Older than the entry, it says nothing.
// - ID.mark: that `once` has run, and when; a file like the others, without output.
// - ID.lock: the run lock. Exclusive, only ever tried, never waited for. Who holds it may run the
//   command and owns every other name of the entry. Unlinked by its holder, or by a `gc` that bars
//   it (system/file_lock.hpp); its new holder checks that the path still names that file. An
//   open-file-description lock: the kernel drops it when the holder dies, and probing it with
//   F_OFD_GETLK disturbs nobody.
// - ID.run: the run in progress, stdout as it comes.
// - ID.wake: a FIFO (local/fifo.hpp), one for each run, which its holder has open until the run has
//   ended. Somebody has it open for writing: the run is going on, and ID.run is whole enough to be
//   watched. Waiters open it, then ID.run, and sleep in a poll until it hangs up, which the kernel
//   sees to when the holder dies. Awake, they read the run's fixed part through the descriptor they
//   have. Finished: it is their answer, stored or not (what is not kept has lost its name, so
//   nobody finds it later). Unfinished: its holder died, and one of them gets the run lock.
//
// Two things and not the lock alone, because who waits for a lock cannot wait for a signal or a
// moment as well, and waiters who wake in a shared lock keep each other out of an exclusive one and
// look like a holder to newcomers. A FIFO is one machine's: where others share the directory, their
// callers see the lock taken but no run, and try again and again.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "src/store/directory.hpp"
#include "src/store/file_names.hpp"
#include "src/store/store.hpp"
#include "src/system/directory.hpp"
#include "src/system/log.hpp"

namespace memolock {

class LocalStore final : public Store {
 public:
  /// Opens `directory`, an absolute path. Where it is missing nothing is stored; it is made (0700)
  /// with what leads to it by the first lock or promise. Throws Error(store), as these do, when it
  /// cannot, when the directory belongs to another user or when others may write in it; with
  /// DirectoryLink::refuse the same goes for the directory around it. Keeps a reference to `log`.
  LocalStore(const std::string& directory, DirectoryLink link, const Log& log);

  [[nodiscard]] Nanoseconds now() override { return wall_now(); }
  void include_artifacts() override {}  // they lie in the entry's own file
  void end_wait_limit() override {}     // nothing is
  [[nodiscard]] std::unique_ptr<Entry> look_up(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Entry> failure(const Key& key) override;
  [[nodiscard]] std::optional<Record> mark(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Lock> try_acquire(const Key& key, Producer producer) override;
  [[nodiscard]] std::unique_ptr<Watch> watch(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Promise> promise(const Key& key, const std::string& token) override;
  [[nodiscard]] bool is_locked(const Key& key) override;
  [[nodiscard]] bool exists(const Key& key) override;
  bool forget(const Key& key) override;
  size_t forget_all(const std::string& tag, Ownership ownership) override;
  bool break_lock(const Key&) override { return false; }
  void on_progress(Progress say) override { say_progress_ = std::move(say); }
  void list(const std::optional<std::string>& tag,
            const std::function<void(const Listing&)>& each) override;

 private:
  void open_root(Missing missing);
  [[nodiscard]] std::unique_ptr<Entry> open_kept(const Key& key, const EntryFileNames& files,
                                                 const std::string& name, Disposition disposition);
  bool forget_files(const EntryFileNames& files);
  [[nodiscard]] bool is_foreign(const std::string& path) const;

  std::string directory_;
  DirectoryLink link_;
  DedupLog once_;
  Descriptor root_;  // empty: the directory is missing
  Progress say_progress_ = [](std::string_view, size_t) {};
  Descriptor ended_;  // the FIFO of the run that was last waited for
};

}  // namespace memolock
