// Where entries and locks live: the interface that every store honours in full.
//
// A store is used by one thread. Every call may throw Error(store) when the store is out of reach
// or unfit. Waiting goes through a Watch that is already subscribed when it is handed out, and
// storing needs a Lock, so the only order that can be written is the safe one: watch, look up,
// wait; acquire, look up, run, publish.
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

/// A finished run that can be given to a caller: a kept entry, or the outcome that a waiter was
/// woken with.
class Entry {
 public:
  virtual ~Entry() = default;
  [[nodiscard]] virtual const Record& record() const = 0;
  /// Whether the bytes are what the record says. Reads all of them; a damaged entry must not be
  /// replayed.
  [[nodiscard]] virtual bool is_intact() = 0;
  /// The archive of its artifacts, as long as this lives; nothing when there is none that is what
  /// the record says. Reads all of it. Of a store that was told to fetch_files().
  [[nodiscard]] virtual std::optional<FileRange> files() = 0;
  /// Copies the run's stdout or stderr to `to`, blocking at its reader's pace. Returns 0 or the
  /// errno (perhaps one for reader_has_left). Two threads may each copy one of them. Once each.
  [[nodiscard]] virtual int write(Stream stream, int to) noexcept = 0;
};

/// What became of an outcome that was handed to the store.
enum class PublishResult {
  done,         ///< what its fate says
  forgotten,    ///< `del` came during the run: shared, not stored
  lost,         ///< the lease was lost and another holds the lock, or something newer is stored
  interrupted,  ///< a signal came first: nothing is stored, and the lock is released
};

enum class WakeReason {
  answered,     ///< the run has ended; its outcome is in `answer`
  gone,         ///< the holder died or was interrupted: look again, take over
  timed_out,    ///< the deadline has passed
  interrupted,  ///< `interrupt` became readable
};

struct WaitResult {
  WakeReason reason = WakeReason::gone;
  std::unique_ptr<Entry> answer;
};

/// Says that a lock is kept alive. Whatever can last while a lock is held asks for it, and nothing
/// but the lock can give it.
class KeepaliveArmed {
  friend class Lock;
  KeepaliveArmed() = default;
};

/// The right to run an entry's command. Destroyed unpublished it is abandoned.
class Lock {
 public:
  virtual ~Lock() = default;
  [[nodiscard]] virtual const std::string& token() const = 0;
  /// Whether there may be another kept entry or failure than this store's last look-up found.
  [[nodiscard]] virtual bool may_have_changed() const = 0;
  /// Makes the run visible to waiters and opens its spool; once, before the others below. `record`
  /// says who runs what.
  virtual void begin(const Record& record) = 0;
  /// Has the lock live on until it is released: what comes may last longer than a moment. Costs a
  /// thread where there is a lease, once.
  KeepaliveArmed arm_keepalive() {
    start_renewal();
    return {};
  }
  /// A descriptor that becomes readable when the lease could not be renewed before its deadline;
  /// -1 where there is no lease to lose.
  [[nodiscard]] virtual int lost_descriptor() const = 0;
  /// Where the run's output goes. A slow reader can still be served from it after publish.
  [[nodiscard]] virtual std::shared_ptr<Spool> spool() = 0;
  /// Hands the outcome to the waiters, stores it if its fate is `kept` or `failed`, and releases
  /// the lock, in any case. One that is `marked` is stored, but answers no waiter: they begin anew.
  /// Throws Error(store) when it could not be stored.
  virtual PublishResult publish(const Record& record) = 0;
  /// For Producer::others, after the command: sleeps until a Promise ends the run, nobody has done
  /// so for `life` since now or since the last renewal (timed_out: this lock is still to be
  /// published), or `interrupt` becomes readable; meanwhile tells `observer`.
  [[nodiscard]] virtual WaitResult await_promise(Nanoseconds life, int interrupt,
                                                 WaitObserver& observer) = 0;
  /// Releases the lock without an outcome: a waiter takes over. After publish() it does nothing.
  virtual void abandon() noexcept = 0;
  /// The same of a holder who was interrupted, within a second.
  virtual void give_up() noexcept { abandon(); }

 private:
  virtual void start_renewal() = 0;
};

/// What a process may do for a run that another one began and left to it.
class Promise {
 public:
  virtual ~Promise() = default;
  /// Who began the run, when, and its token.
  [[nodiscard]] virtual const Record& run() const = 0;
  /// Where the outcome goes; all of it before complete().
  [[nodiscard]] virtual std::shared_ptr<Spool> spool() = 0;
  /// Ends the run with this outcome. False: its lock is no longer held by its token.
  [[nodiscard]] virtual bool complete(const Record& record) = 0;
  /// Has it live for at least `life` from now on; nothing: for the lease that it was made with.
  /// False: as above.
  [[nodiscard]] virtual bool renew(std::optional<Nanoseconds> life) = 0;
};

/// A run in progress, seen by one who waits for it.
class Watch {
 public:
  virtual ~Watch() = default;
  /// Who runs it, since when; its token.
  [[nodiscard]] virtual const Record& run() const = 0;
  /// Whether `del` came after the run began: its outcome answers only those who waited before.
  [[nodiscard]] virtual bool forgotten() const = 0;
  /// Whether there may be another kept entry than this store's last look-up found.
  [[nodiscard]] virtual bool may_have_changed() const = 0;
  /// Sleeps until the run ends, its holder dies, `deadline` (boot clock) passes or the descriptor
  /// `interrupt` becomes readable; meanwhile tells `observer`. Once.
  [[nodiscard]] virtual WaitResult wait(Nanoseconds deadline, int interrupt,
                                        WaitObserver& observer) = 0;
};

/// One line of `ls`.
struct Listing {
  Record record;
  bool running = false;
  uint64_t size = 0;  ///< bytes of streams and artifacts; of a running one, so far
  /// How long another program's lock on it lives yet; forever: without end. Beside an entry it is
  /// one that its holder has not deleted, and not a run.
  std::optional<Nanoseconds> foreign_lock = std::nullopt;
};

/// Which entries are meant.
enum class Ownership {
  own,  ///< what memolock has stored
  any,  ///< what other programs have put under such names, too
};

/// How far a long walk through the store has come: "found", and how many.
using Progress = std::function<void(std::string_view done, size_t count)>;

class Store {
 public:
  virtual ~Store() = default;
  /// The clock that the times of its records are of; nanoseconds since the epoch.
  [[nodiscard]] virtual Nanoseconds now() = 0;
  /// From now on the artifacts of an entry come with it. For who will not restore any they would
  /// be a waste.
  virtual void include_artifacts() = 0;
  /// The call has its answer: what is still asked is not bounded by --wait.
  virtual void end_wait_limit() = 0;
  /// The kept entry, fresh or not; null when there is none. What is damaged or foreign counts as
  /// none; `say` of the store is told.
  [[nodiscard]] virtual std::unique_ptr<Entry> look_up(const Key& key) = 0;
  /// The failure that is kept beside it or without it, recent or not; null when there is none.
  /// After look_up of the same key.
  [[nodiscard]] virtual std::unique_ptr<Entry> failure(const Key& key) = 0;
  /// The last run of `once`, as long as it is of use; nothing when there is none.
  [[nodiscard]] virtual std::optional<Record> mark(const Key& key) = 0;
  /// The entry's lock, for a run whose outcome `keeper` makes; null when somebody holds it.
  [[nodiscard]] virtual std::unique_ptr<Lock> try_acquire(const Key& key, Producer producer) = 0;
  /// The run in progress; null when there is none (yet, or any more).
  [[nodiscard]] virtual std::unique_ptr<Watch> watch(const Key& key) = 0;
  /// The run of this token; null when it does not hold the lock now. An empty token stands for no
  /// run: what is completed then is stored whoever holds the lock, and he stores over it.
  [[nodiscard]] virtual std::unique_ptr<Promise> promise(const Key& key,
                                                         const std::string& token) = 0;
  /// Whether somebody holds the lock now, though his run may not be there to watch yet. Disturbs
  /// nobody.
  [[nodiscard]] virtual bool is_locked(const Key& key) = 0;
  /// Whether there is an entry, a failure, a mark, or a run in progress that would be stored.
  [[nodiscard]] virtual bool exists(const Key& key) = 0;
  /// Forgets entry, failure and mark; a run in progress still answers its waiters but is not
  /// stored. Returns whether there was any.
  virtual bool forget(const Key& key) = 0;
  /// Forgets all entries of a tag, likewise. Returns how many.
  virtual size_t forget_all(const std::string& tag, Ownership ownership) = 0;
  /// Takes the lock from its holder, who may be alive. Returns whether there was one that can be
  /// taken: a lock that the kernel holds for a living process cannot.
  virtual bool break_lock(const Key& key) = 0;
  /// Has list and forget_all tell how far they are, again and again.
  virtual void on_progress(Progress say) = 0;
  /// Calls `each` for every entry, every run in progress and every mark of `tag`, or of all tags,
  /// in no order: of a run in progress once and for nothing else of its key, else once for the
  /// entry or, without one, the failure, and once for the mark.
  virtual void list(const std::optional<std::string>& tag,
                    const std::function<void(const Listing&)>& each) = 0;
};

}  // namespace memolock
