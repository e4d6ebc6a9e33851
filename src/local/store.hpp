// The store in a directory of one user on one machine. It needs no server.
//
// Files, in a directory for each tag (names: store/file_names.hpp; format: entry/record.hpp):
//
// - ID.entry: the last stored run. Replaced by rename, read without a lock.
// - ID.failed: the last stored failure. Ignored if it is older than the entry.
// - ID.mark: when `once` last ran the command. A file of the same format without output.
// - ID.lock: the run lock, exclusive. A process tries to lock it and never waits for it. Its holder
//   may run the command and owns every other name of the entry. Removed by its holder, or by `gc`
//   while that prevents others from taking it (system/file_lock.hpp); a new holder checks that the
//   file that it has locked still has the name. An open-file-description lock: the kernel releases
//   it when the holder dies, and F_OFD_GETLK tests it without affecting other processes.
// - ID.run: the run in progress; stdout is appended as it arrives.
// - ID.wake: a FIFO (local/fifo.hpp), one for each run, which its holder has open until the run has
//   ended. If a process has it open for writing, the run is in progress and the record in ID.run is
//   complete. Waiters open it, then ID.run, and sleep in poll(2) until the FIFO hangs up, which it
//   also does when the holder dies. Then they read the head of the run file through the descriptor
//   that they have open. A finished run answers them, stored or not: if it is not stored, its file
//   has lost its name, so that later callers do not find it. If the run is unfinished, its holder
//   has died, and one of the waiters takes the run lock.
// - ID.promise and ID.TOKEN.answer: see local/promise.hpp.
//
// The lock and the FIFO are separate for two reasons. A process that waits for a lock cannot wait
// for a signal or a deadline as well. And waiters that wake with a shared lock prevent each other
// from taking an exclusive lock, and look like a holder to new callers. A FIFO works on one machine
// only: if several machines share the directory, a caller on another machine finds the lock held
// but sees no run, and tries again until the lock is free.
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
  /// Opens `directory`, an absolute path. If it is missing, the store is empty, and the first lock
  /// or promise creates it (0700) and the directories above it. Opening or creating it throws
  /// Error(store) if that fails, or if the directory belongs to another user or is writable by
  /// others; with SymlinkPolicy::refuse, the same applies to the directory above it. Keeps a
  /// reference to `log`.
  LocalStore(const std::string& directory, SymlinkPolicy link, const Log& log);

  [[nodiscard]] Nanoseconds now() override { return wall_now(); }
  void include_artifacts() override {}  // they are in the entry's file
  void end_wait_limit() override {}     // no call waits
  [[nodiscard]] std::unique_ptr<Entry> look_up(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Entry> look_up_failure(const Key& key) override;
  [[nodiscard]] std::optional<Record> look_up_mark(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Lock> try_acquire(const Key& key, Producer producer) override;
  [[nodiscard]] std::unique_ptr<Watch> watch_run(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Promise> open_promise(const Key& key,
                                                      const std::string& token) override;
  [[nodiscard]] bool is_locked(const Key& key) override;
  [[nodiscard]] bool exists(const Key& key) override;
  bool forget(const Key& key) override;
  size_t forget_all(const std::string& tag, Ownership ownership) override;
  bool break_lock(const Key&) override { return false; }
  void on_progress(Progress report) override { report_progress_ = std::move(report); }
  void list(const std::optional<std::string>& tag,
            const std::function<void(const ListedEntry&)>& each) override;

 private:
  void open_root(IfMissing missing);
  [[nodiscard]] std::unique_ptr<Entry> open_stored(const Key& key, const EntryFileNames& files,
                                                   const std::string& name,
                                                   Disposition disposition);
  bool forget_files(const EntryFileNames& files);
  [[nodiscard]] bool is_foreign(const std::string& path) const;

  std::string directory_;
  SymlinkPolicy link_;
  DedupLog once_;
  Descriptor root_;  // empty: the directory is missing
  Progress report_progress_ = [](std::string_view, size_t) {};
  Descriptor last_wake_fifo_;  // of the run that was last waited for (watch_run())
};

}  // namespace memolock
