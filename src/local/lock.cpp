#include "src/local/lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "src/local/fifo.hpp"
#include "src/local/promise.hpp"
#include "src/store/entry_file.hpp"
#include "src/store/entry_writer.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"
#include "src/system/owned_file.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

// `gc` prevents others from taking a lock while it removes two files. If `gc` is suspended at that
// point, the lock is treated as held after this many pauses, which take half a second in total.
constexpr int max_pauses = 7;
constexpr Nanoseconds first_pause = std::chrono::microseconds(100);

class LocalLock final : public Lock {
 public:
  /// Takes over the locked `lock` file.
  LocalLock(std::string path, EntryFileNames files, Descriptor directory, Descriptor lock)
      : path_(std::move(path)),
        files_(std::move(files)),
        directory_(std::move(directory)),
        lock_(std::move(lock)),
        token_(random_name()) {}
  LocalLock(const LocalLock&) = delete;
  LocalLock& operator=(const LocalLock&) = delete;

  ~LocalLock() override { abandon(); }

  [[nodiscard]] const std::string& token() const override { return token_; }
  [[nodiscard]] bool may_have_changed() const override { return true; }
  [[nodiscard]] int lease_lost_descriptor() const override { return -1; }

  void begin(const Record& record) override {
    remove_leftovers();
    Descriptor file = make_file(directory_.get(), files_.run, O_RDWR | O_EXCL);
    if (!file) throw system_error("cannot write " + path_ + '/' + files_.run, errno);
    writer_.emplace(std::move(file), directory_.get(), path_, files_.run, record);
    writer_->write_head(record);
    run_ = record;
    if (record.producer == Producer::external)
      promise_.emplace(directory_.get(), path_, files_, token_);
    // This makes the run visible, so it comes last, when the record is complete.
    wake_ = make_fifo(directory_.get(), files_.wake, path_);
  }

  [[nodiscard]] std::shared_ptr<Spool> spool() override {
    return writer_ ? writer_->spool() : nullptr;
  }

  [[nodiscard]] WaitResult await_promise(Nanoseconds life, int interrupt,
                                         WaitObserver& observer) override {
    auto [reason, answer] = promise_->await(life, interrupt, observer);
    if (answer) publish_answer(*answer);
    return {reason, std::move(answer)};
  }

  PublishResult publish(const Record& record) override {
    // However this function ends, the lock is released and the waiters wake.
    struct Finally {
      LocalLock& lock;
      ~Finally() { lock.abandon(); }
    } const finally{*this};
    if (record.disposition == Disposition::unstored) {
      finish(record, Disposition::unstored);
      return PublishResult::done;
    }
    try {
      writer_->spool()->append_to_stdout_file();
    } catch (const Error&) {
      finish(record, Disposition::unstored);
      throw;
    }
    if (record.disposition != Disposition::shared) return keep(record);
    finish(record, Disposition::shared);
    return PublishResult::done;
  }

  void abandon() noexcept final {
    if (!lock_) return;
    if (writer_) writer_->remove_working_name();
    promise_.reset();
    remove_if_same_fifo(directory_.get(), files_.wake, wake_.get());
    // The files may have been removed during the run, and another run may now use these names.
    remove_if_same_file(directory_.get(), files_.lock, lock_.get());
    lock_.reset();
    wake_.reset();  // last: a waiter that wakes finds the lock free
  }

  /// Removes the files of a run whose holder has died.
  void remove_leftovers() const {
    if (const OwnedFile dead = open_owned_file(directory_.get(), files_.run, O_RDONLY)) {
      const auto entry = EntryFile::open(dead.duplicate());
      if (entry) remove(files_.answer(entry->record().token));
      remove(files_.run);
      remove_fifo(directory_.get(), files_.wake);
      remove_fifo(directory_.get(), files_.promise);
      return;
    }
    if (errno != ENOENT) remove(files_.run);  // the name is not a regular file of this user
    remove(files_.wake);
    remove(files_.promise);
  }

 private:
  void start_renewal() override {}  // the kernel holds the lock until this process ends

  /// Ends the run with the outcome that another process has delivered.
  void publish_answer(const EntryFile& answer) {
    const std::shared_ptr<Spool> spool = writer_->spool();
    if (!answer.copy_to(*spool)) throw store_error(spool->why_refused());
    // The names in the head remain those of the run: the payload begins after them, so their size
    // must not change.
    Record outcome = answer.record();
    outcome.key = run_.key;
    outcome.holder = run_.holder;
    outcome.command = run_.command;
    outcome.artifacts = run_.artifacts;
    outcome.token = run_.token;
    (void)publish(outcome);
  }

  PublishResult keep(const Record& record) {
    if (writer_->is_forgotten()) {
      finish(record, Disposition::shared);
      return PublishResult::forgotten;
    }
    if (!is_same_file(directory_.get(), files_.lock, lock_.get())) {
      finish(record, Disposition::shared);
      throw store_error(path_ + '/' + files_.lock + " was removed during the run");
    }
    writer_->replace_head(record);
    const std::string& name = name_of(record.disposition);
    writer_->rename_to(name);
    // `del` marks the run before it removes the entry. So either `del` has removed this entry, or
    // its mark is seen here.
    if (writer_->is_forgotten()) {
      remove(name);
      return PublishResult::forgotten;
    }
    if (record.disposition == Disposition::kept) remove(files_.failed);
    return PublishResult::done;
  }

  [[nodiscard]] const std::string& name_of(Disposition disposition) const {
    if (disposition == Disposition::marked) return files_.mark;
    return disposition == Disposition::failed ? files_.failed : files_.entry;
  }

  /// Ends the run without storing it. The name is removed first, because only a stored outcome has
  /// a name. A mark does not answer waiters, so it is not written.
  void finish(Record record, Disposition disposition) {
    if (record.disposition == Disposition::marked) return;
    record.disposition = disposition;
    writer_->remove_working_name();
    writer_->replace_head(record);
  }

  void remove(const std::string& name) const { unlinkat(directory_.get(), name.c_str(), 0); }

  std::string path_;
  EntryFileNames files_;
  Descriptor directory_;
  Descriptor lock_;
  Descriptor wake_;
  Record run_;
  std::string token_;
  std::optional<EntryWriter> writer_;
  std::optional<PromiseHolder> promise_;
};

/// Locks an open file. Tries again while `gc` has reserved it. Returns the result of
/// try_lock_file().
int try_lock_against_gc(int file) {
  Nanoseconds pause = first_pause;
  for (int pauses = 0;; ++pauses, pause *= 4) {
    const int error = try_lock_file(file);
    if (error != EAGAIN && error != EACCES) return error;
    if (is_file_locked(file) || pauses == max_pauses) return EAGAIN;
    std::this_thread::sleep_for(pause);
  }
}

/// See try_lock().
std::optional<std::unique_ptr<LocalLock>> take_lock(const std::string& path,
                                                    const EntryFileNames& files,
                                                    Descriptor directory) {
  const std::string lock_path = path + '/' + files.lock;
  constexpr int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  for (;;) {
    // First without O_CREAT, with which the kernel locks the directory even if the file exists:
    // after a holder's death all waiters come here, and the one that gets the lock would have to
    // queue with them for each name that it creates.
    Descriptor lock(openat(directory.get(), files.lock.c_str(), flags));
    if (!lock && errno == ENOENT) lock = make_file(directory.get(), files.lock, flags);
    if (!lock && errno == ENOENT) return std::nullopt;
    if (!lock) throw system_error("cannot open " + lock_path, errno);
    const int error = try_lock_against_gc(lock.get());
    if (error == EAGAIN) return nullptr;
    if (error != 0) throw system_error("cannot lock " + lock_path, error);
    // The last holder may have removed the file between the two calls. A lock on a removed file
    // does not exclude other processes.
    if (is_same_file(directory.get(), files.lock, lock.get()))
      return std::make_unique<LocalLock>(path, files, std::move(directory), std::move(lock));
  }
}

}  // namespace

std::optional<std::unique_ptr<Lock>> try_lock(const std::string& path, const EntryFileNames& files,
                                              Descriptor directory) {
  return take_lock(path, files, std::move(directory));
}

void remove_dead_run(const std::string& path, const EntryFileNames& files, int directory) {
  const auto exists = [&](const std::string& name) {
    return faccessat(directory, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  };
  if (!exists(files.lock) && !exists(files.run)) return;
  const auto lock = take_lock(path, files, Descriptor(fcntl(directory, F_DUPFD_CLOEXEC, 3)));
  if (lock && *lock) (*lock)->remove_leftovers();
}

}  // namespace memolock
