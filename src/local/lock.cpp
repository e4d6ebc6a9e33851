#include "src/local/lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "src/local/fifo.hpp"
#include "src/local/mailbox.hpp"
#include "src/store/file_names.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

// `gc` bars a lock for two removals. If it has been suspended meanwhile the lock counts as held
// after so many pauses, which make half a second.
constexpr int most_pauses = 7;
constexpr Nanoseconds first_pause = std::chrono::microseconds(100);

Descriptor duplicate(int file) { return Descriptor(fcntl(file, F_DUPFD_CLOEXEC, 3)); }

class LocalLock final : public Lock {
 public:
  /// Takes over the locked `lock` file.
  LocalLock(std::string path, EntryFileNames files, Descriptor folder, Descriptor lock)
      : path_(std::move(path)),
        files_(std::move(files)),
        folder_(std::move(folder)),
        lock_(std::move(lock)),
        token_(random_name()) {}
  LocalLock(const LocalLock&) = delete;
  LocalLock& operator=(const LocalLock&) = delete;

  ~LocalLock() override { abandon(); }

  [[nodiscard]] WaitResult await_promise(Nanoseconds life, int interrupt,
                                         WaitObserver& observer) override {
    Nanoseconds deadline = after(boot_now(), life);
    const auto read_mail = [&] {
      if (const auto renewed = mailbox_.read(life))
        deadline = std::max(deadline, after(boot_now(), *renewed));
    };
    read_mail();
    for (;;) {
      if (auto answer = take_answer()) return {WakeReason::answered, std::move(answer)};
      const Ready ready = await_readable(mailbox_.get(), interrupt,
                                         std::min(deadline, observer.next_notice()));
      if (ready == Ready::interrupted) return {WakeReason::interrupted, nullptr};
      if (ready == Ready::readable) read_mail();
      if (boot_now() < deadline) {
        if (ready == Ready::timed_out) observer.still_waiting();
        continue;
      }
      // Others may just have made the name; or what has it is damaged, and no answer.
      auto answer = claim_answer() ? nullptr : take_answer();
      const WakeReason reason = answer ? WakeReason::answered : WakeReason::timed_out;
      return {reason, std::move(answer)};
    }
  }

  void abandon() noexcept final {
    if (!lock_) return;
    remove_run();
    if (mailbox_) {
      remove_named_fifo(folder_.get(), files_.promise, mailbox_.get());
      mailbox_.close();  // before the answer's name: who links it later learns that nobody reads
      (void)failure_of([&] { remove(files_.answer(token_)); });
    }
    remove_named_fifo(folder_.get(), files_.wake, wake_.get());
    remove_own(files_.lock, lock_.get());
    lock_.reset();
    wake_.reset();  // last: who wakes finds the lock free
  }

  /// Removes what a holder has left who died.
  void clear_leftovers() const {
    if (const OwnedFile dead = open_owned(folder_.get(), files_.run, O_RDONLY)) {
      const auto entry = EntryFile::open(dead.duplicate());
      if (entry) remove(files_.answer(entry->record().token));
      remove(files_.run);
      remove_fifo(folder_.get(), files_.wake);
      remove_fifo(folder_.get(), files_.promise);
      return;
    }
    if (errno != ENOENT) remove(files_.run);  // what is no file of ours
    remove(files_.wake);
    remove(files_.promise);
  }

  [[nodiscard]] const std::string& token() const override { return token_; }
  [[nodiscard]] bool may_have_changed() const override { return true; }
  [[nodiscard]] int lost_descriptor() const override { return -1; }

  void begin(const Record& record) override {
    const std::string head = encode(record);
    clear_leftovers();
    spool_ = std::make_shared<Spool>(make_file(files_.run), head.size(), folder_.get());
    if (const int error = write_all_at(spool_->file(Stream::out), head, 0))
      throw system_error(failure(files_.run), error);
    run_ = record;
    if (record.producer == Producer::external) {
      const auto before = open_entry(files_.entry);
      if (before) entry_before_ = before->record().token;
      mailbox_ = Mailbox(make_fifo(folder_.get(), files_.promise, path_));
    }
    // Without it there is no run in anybody's eyes, so it comes when the record is whole.
    wake_ = make_fifo(folder_.get(), files_.wake, path_);
  }

  [[nodiscard]] std::shared_ptr<Spool> spool() override { return spool_; }

  PublishResult publish(const Record& record) override {
    // Whatever goes wrong on the way, the lock is released and the waiters wake.
    struct Finally {
      LocalLock& lock;
      ~Finally() { lock.abandon(); }
    } const finally{*this};
    if (record.disposition == Disposition::unstored) {
      finish(record, Disposition::unstored);
      return PublishResult::done;
    }
    try {
      spool_->join();
    } catch (const Error&) {
      finish(record, Disposition::unstored);
      throw;
    }
    if (record.disposition != Disposition::shared) return keep(record);
    finish(record, Disposition::shared);
    return PublishResult::done;
  }

 private:
  void start_renewal() override {}  // the kernel does

  /// What others have made of this run, published; null: nothing yet.
  std::unique_ptr<Entry> take_answer() {
    auto answer = open_entry(files_.answer(token_));
    if (!answer) {
      // Who had no token has stored it straight away.
      answer = open_entry(files_.entry);
      if (answer && answer->record().token == entry_before_) return nullptr;
    }
    if (!answer || !answer->is_intact()) return nullptr;
    if (!answer->pour_into(*spool_)) throw store_error(spool_->fault());
    // The names in the run file's front stay: its payload begins behind them.
    Record outcome = answer->record();
    outcome.key = run_.key;
    outcome.holder = run_.holder;
    outcome.command = run_.command;
    outcome.artifacts = run_.artifacts;
    outcome.token = run_.token;
    (void)publish(outcome);
    return answer;
  }

  [[nodiscard]] std::unique_ptr<EntryFile> open_entry(const std::string& name) const {
    OwnedFile file = open_owned(folder_.get(), name, O_RDONLY);
    return file ? EntryFile::open(std::move(file)) : nullptr;
  }

  /// Makes the name that others would; false: they have.
  [[nodiscard]] bool claim_answer() const {
    const auto file = memolock::make_file(folder_.get(), files_.answer(token_), O_WRONLY | O_EXCL);
    return file || errno != EEXIST;
  }

  PublishResult keep(const Record& record) {
    if (is_forgotten()) {
      finish(record, Disposition::shared);
      return PublishResult::forgotten;
    }
    if (!is_same_file(folder_.get(), files_.lock, lock_.get())) {
      finish(record, Disposition::shared);
      throw store_error(path_ + '/' + files_.lock + " was removed during the run");
    }
    write_head(record);
    const std::string& name = name_of(record.disposition);
    if (renameat(folder_.get(), files_.run.c_str(), folder_.get(), name.c_str()) != 0)
      throw system_error(failure(name), errno);
    // `del` marks the run before it unlinks the entry, so either it saw the entry or this sees the
    // mark.
    if (is_forgotten()) {
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

  /// Ends the run without storing it. The name goes first: an outcome is found under a name only if
  /// it is kept.
  void finish(Record record, Disposition disposition) {
    if (record.disposition == Disposition::marked) return;  // an answer to nobody
    record.disposition = disposition;
    remove_run();
    write_head(record);
  }

  /// Who reads it now may find it half written; waiters read it when they are woken. The forgotten
  /// byte belongs to `del`.
  void write_head(const Record& record) const {
    const std::string head = encode(record);
    const std::string_view bytes = head;
    const int file = spool_->file(Stream::out);
    int error = write_all_at(file, bytes.substr(forgotten_offset + 1), forgotten_offset + 1);
    if (error == 0) error = write_all_at(file, bytes.substr(0, forgotten_offset), 0);
    if (error != 0) throw system_error("cannot write to the store", error);
  }

  [[nodiscard]] bool is_forgotten() const { return has_forgotten_mark(spool_->file(Stream::out)); }

  void remove_run() const {
    if (spool_) remove_own(files_.run, spool_->file(Stream::out));
  }
  /// The files may have been removed during the run, and the names be another's now.
  void remove_own(const std::string& name, int file) const {
    remove_if_same(folder_.get(), name, file);
  }

  [[nodiscard]] Descriptor make_file(const std::string& name) const {
    Descriptor file = memolock::make_file(folder_.get(), name, O_RDWR | O_EXCL);
    if (!file) throw system_error(failure(name), errno);
    return file;
  }
  void remove(const std::string& name) const { unlinkat(folder_.get(), name.c_str(), 0); }
  [[nodiscard]] std::string failure(const std::string& name) const {
    return "cannot write " + path_ + '/' + name;
  }

  std::string path_;
  EntryFileNames files_;
  Descriptor folder_;
  Descriptor lock_;
  Descriptor wake_;
  Mailbox mailbox_;           // of a promise that others keep
  std::string entry_before_;  // and the token of the entry that was there when it was made
  Record run_;
  std::string token_;
  std::shared_ptr<Spool> spool_;
};

/// Locks the open file, unless somebody holds its lock or bars it for long. Returns as
/// try_lock_file.
int lock_unbarred(int file) {
  Nanoseconds pause = first_pause;
  for (int pauses = 0;; ++pauses, pause *= 4) {
    const int error = try_lock_file(file);
    if (error != EAGAIN && error != EACCES) return error;
    if (is_file_locked(file) || pauses == most_pauses) return EAGAIN;
    std::this_thread::sleep_for(pause);
  }
}

/// As try_lock.
std::optional<std::unique_ptr<LocalLock>> take_lock(const std::string& path,
                                                    const EntryFileNames& files,
                                                    Descriptor folder) {
  const std::string where = path + '/' + files.lock;
  constexpr int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  for (;;) {
    // First without O_CREAT, which takes the folder's lock even where the file is there: after a
    // holder's death the one who gets the run lock would queue behind all the others for each name
    // he makes.
    Descriptor lock(openat(folder.get(), files.lock.c_str(), flags));
    if (!lock && errno == ENOENT) lock = make_file(folder.get(), files.lock, flags);
    if (!lock && errno == ENOENT) return std::nullopt;
    if (!lock) throw system_error("cannot open " + where, errno);
    const int error = lock_unbarred(lock.get());
    if (error == EAGAIN) return nullptr;
    if (error != 0) throw system_error("cannot lock " + where, error);
    // Its last owner may have unlinked it between the two calls: then the lock is on a file that
    // nobody else will find.
    if (is_same_file(folder.get(), files.lock, lock.get()))
      return std::make_unique<LocalLock>(path, files, std::move(folder), std::move(lock));
  }
}

}  // namespace

std::optional<std::unique_ptr<Lock>> try_lock(const std::string& path, const EntryFileNames& files,
                                              Descriptor folder) {
  return take_lock(path, files, std::move(folder));
}

void remove_dead_run(const std::string& path, const EntryFileNames& files, int folder) {
  const auto exists = [&](const std::string& name) {
    return faccessat(folder, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  };
  if (!exists(files.lock) && !exists(files.run)) return;
  const auto lock = take_lock(path, files, duplicate(folder));
  if (lock && *lock) (*lock)->clear_leftovers();
}

}  // namespace memolock
