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

#include "src/entry.hpp"
#include "src/spool.hpp"

namespace memolock {

/// A finished run that can be given to a caller: a kept entry, or the outcome that a waiter was
/// woken with.
class Entry {
 public:
  virtual ~Entry() = default;
  [[nodiscard]] virtual const Record& record() const = 0;
  /// Whether the bytes are what the record says. Reads all of them; a damaged entry must not be
  /// replayed.
  [[nodiscard]] virtual bool intact() = 0;
  /// Copies the run's stdout to `out` and its stderr to `err`, blocking at their readers' pace.
  /// Returns 0 or the first errno; a reader that has left (EPIPE) is no error.
  [[nodiscard]] virtual int replay(int out, int err) = 0;
};

/// The right to run an entry's command. Destroyed unpublished it is abandoned.
class Lock {
 public:
  virtual ~Lock() = default;
  [[nodiscard]] virtual const std::string& token() const = 0;
  /// Makes the run visible to waiters and opens its spool; once, before the others below. `record`
  /// says who runs what.
  virtual void begin(const Record& record) = 0;
  /// Where the run's output goes. A slow reader can still be served from it after publish.
  [[nodiscard]] virtual std::shared_ptr<Spool> spool() = 0;
  /// The absolute path of an empty file, for MEMOLOCK_CONTROL.
  [[nodiscard]] virtual std::string control_path() = 0;
  /// What the command wrote there, and the end of the file; after the command's.
  [[nodiscard]] virtual std::string take_control() = 0;
  /// Hands the outcome to the waiters, stores it if its fate is `kept`, and releases the lock, in
  /// any case. Returns whether it did with the outcome what its fate says: `del` may have come
  /// between. Throws Error(store) when it could not be stored.
  virtual bool publish(const Record& record) = 0;
  /// Releases the lock without an outcome: a waiter takes over.
  virtual void abandon() = 0;
};

enum class Wake {
  answered,     ///< the run has ended; its outcome is in `answer`
  gone,         ///< the holder died or was interrupted: look again, take over
  timed_out,    ///< the deadline has passed
  interrupted,  ///< `interrupt` became readable
};

struct Woken {
  Wake wake = Wake::gone;
  std::unique_ptr<Entry> answer;
};

/// A run in progress, seen by one who waits for it.
class Watch {
 public:
  virtual ~Watch() = default;
  /// Who runs it, since when; its token.
  [[nodiscard]] virtual const Record& run() const = 0;
  /// Whether `del` came after the run began: its outcome answers only those who waited before.
  [[nodiscard]] virtual bool forgotten() const = 0;
  /// Sleeps until the run ends, its holder dies, `deadline` (boot clock) passes or the descriptor
  /// `interrupt` becomes readable. Once.
  [[nodiscard]] virtual Woken wait(Nanoseconds deadline, int interrupt) = 0;
};

/// One line of `ls`.
struct Listing {
  Record record;
  bool running = false;
  uint64_t size = 0;  ///< bytes of both streams; of a running one, so far
};

class Store {
 public:
  virtual ~Store() = default;
  /// The kept entry, fresh or not; null when there is none. What is damaged or foreign counts as
  /// none; `say` of the store is told.
  [[nodiscard]] virtual std::unique_ptr<Entry> look_up(const Key& key) = 0;
  /// The entry's lock; null when somebody holds it.
  [[nodiscard]] virtual std::unique_ptr<Lock> try_acquire(const Key& key) = 0;
  /// The run in progress; null when there is none (yet, or any more).
  [[nodiscard]] virtual std::unique_ptr<Watch> watch(const Key& key) = 0;
  /// Whether somebody holds the lock now, though his run may not be there to watch yet. Disturbs
  /// nobody.
  [[nodiscard]] virtual bool is_locked(const Key& key) = 0;
  /// Whether there is an entry, or a run in progress that would be stored.
  [[nodiscard]] virtual bool knows(const Key& key) = 0;
  /// Forgets the entry; a run in progress still answers its waiters but is not stored. Returns
  /// whether there was either.
  virtual bool forget(const Key& key) = 0;
  /// Forgets all entries of a tag, likewise. Returns how many.
  virtual size_t forget_all(const std::string& tag) = 0;
  /// Calls `each` once for every entry and every run in progress of `tag`, or of all tags, in no
  /// order.
  virtual void list(const std::optional<std::string>& tag,
                    const std::function<void(const Listing&)>& each) = 0;
};

}  // namespace memolock
