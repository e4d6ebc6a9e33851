// The interface of a store, which holds entries and locks. Every store implements all of it.
//
// One thread uses a store and what it returns, unless a function says otherwise. Every call that is
// not noexcept may throw Error(store) if the store cannot be reached or used. A Watch is already
// subscribed when it is returned, and storing requires a Lock or a Promise, so that only the safe
// order can be written: watch, look up, wait; acquire, look up, run, publish.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/entry/record.hpp"
#include "src/entry/spool.hpp"
#include "src/store/wait_observer.hpp"

namespace memolock {

/// A finished run that can be replayed to a caller: a stored entry or failure, or the outcome with
/// which a waiter was woken.
class Entry {
 public:
  virtual ~Entry() = default;
  [[nodiscard]] virtual const Record& record() const = 0;
  /// Whether the streams match their checksums in the record. Reads all of them. A damaged entry
  /// must not be replayed.
  [[nodiscard]] virtual bool is_intact() = 0;
  /// The archive of its artifacts, valid as long as this object; nothing if there is none or it is
  /// damaged. Reads all of it. Requires Store::include_artifacts().
  [[nodiscard]] virtual std::optional<FileRange> files() = 0;
  /// Copies the run's stdout or stderr to `to`; blocks while the pipe is full. Returns 0 or
  /// the errno (see reader_has_left()). Call it once for each stream; two threads may do so at the
  /// same time.
  [[nodiscard]] virtual int write(Stream stream, int to) noexcept = 0;
};

/// The result of publishing an outcome.
enum class PublishResult {
  done,       ///< stored or shared, according to its disposition
  forgotten,  ///< `del` was called during the run: shared, not stored
  lost,  ///< not stored: the lease was lost, and another holder has the lock or has stored since
  interrupted,  ///< a signal arrived first: nothing is stored, and the lock is released
};

enum class WakeReason {
  answered,     ///< the run has ended, and `answer` has its outcome
  gone,         ///< the holder has died or was interrupted: look up again and take over
  timed_out,    ///< the deadline has passed
  interrupted,  ///< `interrupt` became readable
};

struct WaitResult {
  WakeReason reason = WakeReason::gone;
  std::unique_ptr<Entry> answer;
};

/// Proof that Lock::arm_keepalive() was called. A function that gets a lock from its caller and may
/// take a long time has it as a parameter; only a Lock can create it.
class KeepaliveArmed {
  friend class Lock;
  KeepaliveArmed() = default;
};

/// The right to run an entry's command. The destructor calls abandon() unless publish() was called.
class Lock {
 public:
  virtual ~Lock() = default;
  [[nodiscard]] virtual const std::string& token() const = 0;
  /// Whether the stored entry or failure may have changed since this store's last look-up.
  [[nodiscard]] virtual bool may_have_changed() const = 0;
  /// Makes the run visible to waiters and opens its spool. Call it once, before the functions
  /// below. `record` describes the run.
  virtual void begin(const Record& record) = 0;
  /// From now on the lease is renewed until the lock is released. Call it before any operation that
  /// may take a long time. If there is a lease, the first call starts a thread, unless begin() has.
  /// If that fails, the lease expires, and lease_lost_descriptor() reports it.
  KeepaliveArmed arm_keepalive() {
    start_renewal();
    return {};
  }
  /// A descriptor that becomes readable if the lock was taken away, or if it may have expired
  /// because no renewal has succeeded; in the latter case it may become unreadable again. -1 if
  /// there is no lease.
  [[nodiscard]] virtual int lease_lost_descriptor() const = 0;
  /// The spool for the output of the run. Slow readers may still be served from it after publish().
  [[nodiscard]] virtual std::shared_ptr<Spool> spool() = 0;
  /// Gives the outcome to the waiters, stores it if its disposition is `kept`, `failed` or
  /// `marked`, and releases the lock, even on failure. A `marked` outcome does not answer waiters:
  /// they start again. Throws Error(store) if it could not be stored.
  virtual PublishResult publish(const Record& record) = 0;
  /// For Producer::external, after the command has exited: sleeps until a Promise completes the
  /// run, the promise expires, or `interrupt` becomes readable. It expires when both `life`,
  /// counted from this call, and the longest renewal have passed; then (timed_out) the caller must
  /// still publish or abandon the lock. Calls `observer` meanwhile.
  [[nodiscard]] virtual WaitResult await_promise(Nanoseconds life, int interrupt,
                                                 WaitObserver& observer) = 0;
  /// Releases the lock without an outcome, so that a waiter takes over. Does nothing after
  /// publish().
  virtual void abandon() noexcept = 0;
  /// The same for a call that a signal has interrupted: takes at most a second.
  virtual void abandon_quickly() noexcept { abandon(); }

 private:
  virtual void start_renewal() = 0;
};

/// A run whose outcome other processes deliver (Producer::external), as those processes see it.
class Promise {
 public:
  virtual ~Promise() = default;
  /// The record of the run: its holder, when it began, its token.
  [[nodiscard]] virtual const Record& run_record() const = 0;
  /// The spool for the output. All of the output must be written before complete().
  [[nodiscard]] virtual std::shared_ptr<Spool> spool() = 0;
  /// Ends the run with this outcome. Returns false if its token no longer holds the lock.
  [[nodiscard]] virtual bool complete(const Record& record) = 0;
  /// Extends the promise to at least `life` from now; without a value, to the lease with which it
  /// was created. Returns false if its token no longer holds the lock.
  [[nodiscard]] virtual bool renew(std::optional<Nanoseconds> life) = 0;
};

/// A run in progress, as a waiter sees it.
class Watch {
 public:
  virtual ~Watch() = default;
  /// The record of the run: its holder, when it began, its token.
  [[nodiscard]] virtual const Record& run_record() const = 0;
  /// Whether `del` was called since the run began. If so, its outcome answers only earlier waiters.
  [[nodiscard]] virtual bool forgotten() const = 0;
  /// Whether the stored entry may have changed since this store's last look-up.
  [[nodiscard]] virtual bool may_have_changed() const = 0;
  /// Sleeps until the run ends, its holder dies, `deadline` (boot clock) passes or the descriptor
  /// `interrupt` becomes readable. Calls `observer` meanwhile. Call it once.
  [[nodiscard]] virtual WaitResult wait(Nanoseconds deadline, int interrupt,
                                        WaitObserver& observer) = 0;
};

/// One line of `ls`.
struct ListedEntry {
  Record record;
  bool running = false;
  uint64_t size = 0;  ///< bytes of streams and artifacts; of a run in progress, so far
  /// The remaining time of another program's lock on the key; `forever` if it does not expire. If
  /// there is also an entry, the holder has not removed the lock, and no run is in progress.
  std::optional<Nanoseconds> foreign_lock = std::nullopt;
};

/// Which entries are deleted.
enum class Ownership {
  own,  ///< entries that memolock has stored
  any,  ///< also entries that other programs have stored
};

/// Reports the progress of a long operation: what is being done ("listed") and how many are done so
/// far.
using Progress = std::function<void(std::string_view done, size_t count)>;

class Store {
 public:
  virtual ~Store() = default;
  /// The time on the clock that its records use, since the epoch.
  [[nodiscard]] virtual Nanoseconds now() = 0;
  /// From now on the artifacts of an entry are fetched with it. Wasteful for a caller that does not
  /// restore any.
  virtual void include_artifacts() = 0;
  /// From now on --wait no longer limits requests to the store: the caller has its answer.
  virtual void end_wait_limit() = 0;
  /// The stored entry, fresh or not; null if there is none. An invalid entry is logged and treated
  /// as a miss. An entry of another program is returned if the store can read it (Record::foreign).
  [[nodiscard]] virtual std::unique_ptr<Entry> look_up(const Key& key) = 0;
  /// The stored failure, recent or not, with or without an entry; null if there is none. To be
  /// called after look_up() of the same key.
  [[nodiscard]] virtual std::unique_ptr<Entry> look_up_failure(const Key& key) = 0;
  /// The mark of the last run of `once`, recent or not; nothing if there is none.
  [[nodiscard]] virtual std::optional<Record> look_up_mark(const Key& key) = 0;
  /// The lock of the entry, for a run whose outcome `producer` delivers; null if the lock is held.
  [[nodiscard]] virtual std::unique_ptr<Lock> try_acquire(const Key& key, Producer producer) = 0;
  /// The run in progress; null if none is visible. If the lock is held, a run may be about to
  /// become visible.
  [[nodiscard]] virtual std::unique_ptr<Watch> watch_run(const Key& key) = 0;
  /// The run of this token; null if the token does not hold the lock now. With an empty token there
  /// is no run: the outcome is stored even if the lock is held, and a run in progress replaces it
  /// later, unless it is a promise, which ends with that outcome.
  [[nodiscard]] virtual std::unique_ptr<Promise> open_promise(const Key& key,
                                                              const std::string& token) = 0;
  /// Whether the lock is held now, even if there is no run to watch yet. Does not affect other
  /// callers.
  [[nodiscard]] virtual bool is_locked(const Key& key) = 0;
  /// Whether there is an entry, a failure, a mark, or a run in progress that would be stored.
  [[nodiscard]] virtual bool exists(const Key& key) = 0;
  /// Deletes entry, failure and mark. A run in progress still answers its waiters but is not
  /// stored. Returns whether there was any of these.
  virtual bool forget(const Key& key) = 0;
  /// The same for all entries of a tag. Returns their number.
  virtual size_t forget_all(const std::string& tag, Ownership ownership) = 0;
  /// Takes the lock away from its holder, which may still be running. Returns whether there was a
  /// lock to take away; a lock that the kernel holds for a living process cannot be taken away.
  virtual bool break_lock(const Key& key) = 0;
  /// Sets a function that list() and forget_all() call repeatedly.
  virtual void on_progress(Progress report) = 0;
  /// Calls `each` for the keys of `tag`, or of all tags, in no particular order. A key with a run
  /// in progress is listed once, as that run. Any other is listed as its entry or, without one, its
  /// failure, and also as its mark if there is one.
  virtual void list(const std::optional<std::string>& tag,
                    const std::function<void(const ListedEntry&)>& each) = 0;
};

}  // namespace memolock
