#include "src/redis_store/promise.hpp"

#include "src/entry/token.hpp"
#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/lock_requests.hpp"
#include "src/redis_store/outcome.hpp"
#include "src/system/error.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

class RedisPromise final : public Promise {
 public:
  RedisPromise(RedisStoreContext& context, const Key& key, const std::string& token)
      : context_(context),
        key_(key),
        run_(run_of_token(key, token)),
        permission_{token, token.empty() ? "any" : ""} {
    if (!token.empty()) return;
    run_.token = permission_.token = random_name();
    run_.begun = context.session.now();
    run_.producer = Producer::external;
  }

  [[nodiscard]] const Record& run_record() const override { return run_; }
  [[nodiscard]] std::shared_ptr<Spool> spool() override { return spool_; }

  [[nodiscard]] bool complete(const Record& record) override {
    const RedisOutcome outcome(context_.session, key_, permission_, *spool_,
                               context_.settings.lease, context_.settings.failover_timeout());
    try {
      outcome.upload();
      const PublishResult published = record.disposition == Disposition::kept
                                          ? outcome.keep(record)
                                          : outcome.share(record);
      return published != PublishResult::lost;
    } catch (const Error& error) {
      if (error.kind() == Error::Kind::interrupted) discard_upload();
      throw;
    }
  }

  [[nodiscard]] bool renew(std::optional<Nanoseconds> life) override {
    const auto parts = parse_token(permission_.token);
    const Nanoseconds lease = parts ? parts->lease.value_or(default_lease) : default_lease;
    return extend_redis_lock(context_.session, key_, permission_.token, life.value_or(lease),
                             context_.settings.failover_timeout());
  }

 private:
  /// Deletes only the upload, because the owner of the token may try again with it.
  void discard_upload() noexcept {
    context_.session.set_wait_limit(WaitLimit{}.within(interrupted_call_limit));
    const auto failure = failure_of(
        [&] { discard_redis_upload(context_.session, key_, permission_.token); });
    // The upload then expires.
    if (failure) (void)failure_of([&] { context_.log.info("{}", *failure); });
  }

  RedisStoreContext& context_;
  Key key_;
  Record run_;
  RedisWritePermission permission_;
  std::shared_ptr<Spool> spool_ = std::make_shared<Spool>();
};

}  // namespace

std::unique_ptr<Promise> open_redis_promise(RedisStoreContext& context, const Key& key,
                                            const std::string& token) {
  RedisSession& session = context.session;
  const RedisNames names = session.route_to(key);  // directs later requests to the entry's node
  if (!token.empty()) {
    const bool holds_lock = session.with_context(key, [&] {
      auto replies = session.read({{"GET", names.lock}}, context.settings.failover_timeout());
      return read_lock_holder(replies.next()) == token;
    });
    if (!holds_lock) return nullptr;
  }
  return std::make_unique<RedisPromise>(context, key, token);
}

}  // namespace memolock
