// The store that many machines share: a Redis or Valkey server, with the names of redis-memolock
// (entry/key.hpp), so that its clients share promises with us.
//
// The value is a string with the stdout of the last kept run; the meta beside it says all else and
// belongs to a value of its length and hash alone: any other value is a foreign client's. The lock
// is a string with the holder's token, and lives one lease, renewed each third of it. What must
// happen at one instant is a script (redis_store/scripts.hpp) or a transaction:
//
// - A look-up reads value and meta, and the artifacts if they are wanted. One connection, one round
//   trip.
// - Acquiring takes the lock and says whether anything new is stored.
// - A run's end stores value and meta, releases the lock and announces it: the value on the channel
//   notif, where foreign clients take it for the answer; a token on the channel fail for what they
//   must not see: a large value, a failure, an interrupted run.
// - A waiter subscribes to both channels and reads the state in one transaction, sleeps until a
//   message comes or the lock may have expired, and reads the state anew. Messages may get lost.
//
// What a foreign client leaves in its lock is no token of ours: nothing is known of it but that it
// is at work.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/redis/session.hpp"
#include "src/store/seen_keys.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"

namespace memolock {

struct RedisSettings {
  RedisAddress address;
  Nanoseconds lease{0};
  Nanoseconds timeout{0};  ///< of connecting, and of each request; see ProgressTimeout
  uint64_t max_entry = 0;  ///< the most that is read for one entry; bytes
};

/// What tells what is stored from what was, without reading it.
struct StoredVersion {
  std::optional<std::pair<std::string, uint64_t>> entry;  ///< its token, and the value's length
  std::string failure;                                    ///< its token; empty: none
  bool operator==(const StoredVersion&) const = default;

  /// From the answer for token and fate of the last outcome that is no entry. Throws
  /// UnexpectedReply.
  void note_failure(const RedisReply& outcome);
};

class RedisStore final : public Store {
 public:
  /// Connects when it is first asked something. `cutoff`: what ends a request, until a run begins.
  /// Keeps a reference to `log`.
  RedisStore(RedisSettings settings, const Cutoff& cutoff, const Log& log);

  [[nodiscard]] Nanoseconds now() override { return session_.now(); }
  void include_artifacts() override { includes_artifacts_ = true; }
  void end_wait_limit() override { session_.set_cutoff({session_.cutoff().interrupt}); }
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
  bool break_lock(const Key& key) override;
  void on_progress(Progress say) override { say_progress_ = std::move(say); }
  void list(const std::optional<std::string>& tag,
            const std::function<void(const Listing&)>& each) override;

  // For the lock and the watch of this store.
  [[nodiscard]] RedisSession& session() { return session_; }
  [[nodiscard]] const RedisSettings& settings() const { return settings_; }
  [[nodiscard]] const Log& log() const { return log_; }
  /// What the last run has left that is no entry; null: nothing, or more than may be read.
  [[nodiscard]] std::unique_ptr<Entry> last_outcome(const Key& key);
  /// What look_up has found last.
  [[nodiscard]] const StoredVersion& seen() const { return seen_; }

 private:
  /// What `read` returns; null when there is more than may be read.
  template <typename Read>
  std::unique_ptr<Entry> unless_too_large(const Key& key, const Read& read);
  /// Which types of keys are to be forgotten.
  enum class Types { own, any };
  /// Returns whether there was something; nothing: it did nothing, as there is a foreign type.
  std::optional<bool> forget_entry(const Key& key, Ownership ownership, Types types);
  [[nodiscard]] std::vector<RedisSession*> nodes();
  /// Calls `see` with all entries and locks of a tag, each once, and the number of the node that
  /// has it.
  void walk(const std::optional<std::string>& tag,
            const std::function<void(const Key&, size_t node)>& see);
  void walk_node(RedisSession& node, const std::string& pattern,
                 const std::function<bool(const std::string& name)>& is_new);
  void list_some(std::span<const NumberedKey> some,
                 const std::function<void(const Listing&)>& each);

  RedisSettings settings_;
  const Log& log_;
  DedupLog once_;
  Cutoff cutoff_;
  RedisSession session_;
  std::vector<std::unique_ptr<RedisSession>> nodes_;  // of a cluster, once they are asked
  StoredVersion seen_;
  Progress say_progress_ = [](std::string_view, size_t) {};
  bool includes_artifacts_ = false;
};

}  // namespace memolock
