#include "src/redis_store/lookup.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"

namespace memolock {
namespace {

/// Calls `read` and returns its result; null if the data is larger than permitted.
template <typename Read>
std::unique_ptr<Entry> unless_too_large(RedisStoreContext& context, const Key& key,
                                        const Read& read) {
  try {
    return context.session.with_context(key, read);
  } catch (const OversizedReply&) {
    context.once_log.info("{}: {}", key.shown(), describe_too_large(context.settings.max_entry));
    return nullptr;
  }
}

std::optional<RedisString> take_artifacts(const RedisStoreContext& context, RedisReplies& replies) {
  return context.includes_artifacts ? replies.next().take_string() : std::nullopt;
}

}  // namespace

std::unique_ptr<Entry> look_up_entry(RedisStoreContext& context, const Key& key) {
  const RedisNames names = context.session.route_to(key);
  std::vector<RedisCommand> commands{
      {"TIME"}, read_record_command(names.meta), {"PTTL", names.value}, {"GET", names.value}};
  if (context.includes_artifacts) commands.push_back({"GET", names.files});
  commands.push_back({"HMGET", names.run_state, "token", "fate"});
  context.last_seen = {};
  return unless_too_large(context, key, [&]() -> std::unique_ptr<Entry> {
    RedisReplies replies = context.session.read(commands);
    (void)context.session.set_clock(replies.next());
    RedisRecordHash hash(replies.next());
    const int64_t pttl = read_pttl(replies.next());
    auto value = replies.next().take_string();
    auto files = take_artifacts(context, replies);
    // A hit does not need this reply, so a foreign type of this key is ignored.
    const RedisReply outcome = replies.next();
    if (!outcome.is_error()) context.last_seen.note_failure(outcome);
    if (!value) return nullptr;
    context.last_seen.entry = {hash.token(), value->size};
    if (auto entry = RedisEntry::from_own_hash(key, hash, *value,
                                               std::move(files).value_or(RedisString{})))
      return entry;
    Record record = foreign_record(key, pttl);
    record.out_size = value->size;
    return std::make_unique<RedisEntry>(std::move(record), std::move(*value), RedisString{});
  });
}

std::unique_ptr<Entry> read_last_outcome(RedisStoreContext& context, const Key& key) {
  const RedisNames names = context.session.route_to(key);
  std::vector<RedisCommand> commands{read_record_command(names.run_state),
                                     {"HMGET", names.run_state, "stdout", "part"},
                                     {"GET", names.upload}};
  if (context.includes_artifacts) commands.push_back({"GET", names.files_upload});
  return unless_too_large(context, key, [&]() -> std::unique_ptr<Entry> {
    RedisReplies replies = context.session.read(commands);
    RedisReply run = replies.next();
    RedisReply texts = replies.next();
    if (run.is_error()) return nullptr;  // a key of a foreign type has no outcome
    RedisRecordHash hash(std::move(run));
    const auto [in_hash, part] = texts.array<2>();
    RedisReply in_part = replies.next();
    auto files = take_artifacts(context, replies);
    const bool is_in_part = !part->is_nil() && part->text() == hash.token();
    auto out = is_in_part ? in_part.take_string() : in_hash->take_string();
    if (!out) return nullptr;
    return RedisEntry::from_own_hash(key, hash, *out, std::move(files).value_or(RedisString{}));
  });
}

}  // namespace memolock
