// The look-ups of one call: they read the entry from the store, and decide whether it answers the
// call. This class applies the rules of entry/freshness.hpp, and logs with -v which entries were
// rejected, and why.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/entry/freshness.hpp"
#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"

namespace memolock {

struct LookupResult {
  enum class Kind {
    none,               ///< no answer: run the command, or wait
    fresh,              ///< `entry` is the answer: a success, or a stored failure
    stale,              ///< serve `entry`; it is too soon to run the command again
    stale_and_refresh,  ///< serve `entry`, and refresh it in the background
  };
  Kind kind = Kind::none;
  std::unique_ptr<Entry> entry;  ///< null only with `none`
};

/// Used by one thread. It stores the entries that the last look-up found and did not use; each
/// take_… method returns one of these, once.
class Lookup {
 public:
  /// Keeps references to all three. Asks the store for artifacts if the request does.
  Lookup(const Request& request, Store& store, const Log& log);

  /// Looks up the entry and, where no fresh one is found, the stored failure. Throws Error(store).
  [[nodiscard]] LookupResult look_up();

  /// Whether the entry can be replayed: it is not larger than --max-entry, is intact and, if its
  /// run succeeded, has all artifacts that the request asks for. Reads all of it.
  [[nodiscard]] bool is_servable(Entry& entry);

  /// From now on an entry whose artifacts would have to be restored is a miss.
  void reject_artifacts() { rejects_artifacts_ = true; }
  /// From now on an entry whose run began before this moment is a miss (--refresh).
  void reject_earlier_runs() { policy_.begun_since = store_.now(); }
  [[nodiscard]] const FreshnessPolicy& policy() const { return policy_; }

  /// The run time of the entry that was found last, fresh or not; none if none was found.
  [[nodiscard]] std::optional<Nanoseconds> last_run_time() const { return last_run_time_; }

  /// The fresh entry that this call is to refresh early; null if there is none.
  [[nodiscard]] std::unique_ptr<Entry> take_entry_due_early();
  /// The entry to serve if the command fails or the wait times out; null if there is none.
  [[nodiscard]] std::unique_ptr<Entry> take_fallback() { return std::move(fallback_); }
  /// The expired entry for --on-timeout stale; null if there is none. It is retained from the
  /// look-up, because after the wait there is no time left for a request to the store.
  [[nodiscard]] std::unique_ptr<Entry> take_expired() { return std::move(expired_); }

 private:
  [[nodiscard]] bool decide_early_refresh(const Record& record, Nanoseconds now);
  [[nodiscard]] LookupResult resolve_expired(std::unique_ptr<Entry> entry, Nanoseconds now);
  [[nodiscard]] LookupResult resolve_failure(std::unique_ptr<Entry>& entry, bool is_usable,
                                             Nanoseconds& now);
  [[nodiscard]] bool has_artifacts(Entry& entry);
  void log_expired(const Record& record, Nanoseconds now);

  const Request& request_;
  Store& store_;
  const Log& log_;
  DedupLog once_log_;
  std::optional<Nanoseconds> logged_expired_;  // Record::ended of the entry that was logged last
  FreshnessPolicy policy_;
  std::unique_ptr<Entry> fallback_;
  std::unique_ptr<Entry> expired_;
  std::optional<Nanoseconds> last_run_time_;
  std::string early_token_;  // of the entry that is to be refreshed early
  bool rejects_artifacts_ = false;
  bool early_decided_ = false;  // the random choice is made once per call
};

}  // namespace memolock
