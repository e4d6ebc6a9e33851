#include "src/redis_store/listing.hpp"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"
#include "src/store/key_containers.hpp"

namespace memolock {
namespace {

// How many entries are requested in one round trip, with a MiB or two of replies.
constexpr size_t batch_size = 200;
// At most this many entries, whose names have at most this many bytes, are listed in order.
constexpr size_t max_sorted = 100'000;
constexpr size_t max_sorted_bytes = 8U << 20;

/// The commands that are sent for one entry. parse_mark() reads the reply to the last one,
/// parse_listing() the replies to the others.
std::vector<RedisCommand> listing_commands(const RedisNames& names) {
  return {{"GET", names.lock},
          {"PTTL", names.lock},
          {"PTTL", names.value},
          {"PTTL", names.meta},
          {"STRLEN", names.value},
          read_record_command(names.meta, WithStderr::no),
          read_record_command(names.run_state, WithStderr::no),
          read_record_command(names.mark, WithStderr::no)};
}

/// Whether a meta with the PTTL `of_meta` can belong to a value with the PTTL `of_value`; see
/// is_own in the scripts.
bool is_expiry_of_meta(int64_t of_meta, int64_t of_value) {
  constexpr int64_t linger = 1000;
  if (of_value < 0) return of_meta == of_value;
  return std::abs(of_meta - linger - of_value) <= linger / 2;
}

/// Returns nothing if there is no entry, failure or run, or if a key has a foreign type.
std::optional<ListedEntry> parse_listing(const Key& key, RedisReplies replies) {
  if (replies.first_error() != nullptr) return std::nullopt;
  const std::string holder = read_lock_holder(replies.next());
  const int64_t pttl_of_lock = read_pttl(replies.next());
  const int64_t pttl = read_pttl(replies.next());
  const int64_t pttl_of_meta = read_pttl(replies.next());
  ListedEntry listing;
  listing.size = replies.next().count();
  const RedisRecordHash meta(replies.next(), WithStderr::no);
  const RedisRecordHash run(replies.next(), WithStderr::no);
  constexpr int64_t missing = -2;
  if (!holder.empty()) {
    Record run_in_progress = run_of_token(key, holder);
    if (run_in_progress.foreign) listing.foreign_lock = lifetime_of_pttl(pttl_of_lock);
    if (!run_in_progress.foreign || pttl == missing) {
      listing.record = std::move(run_in_progress);
      listing.running = true;
      listing.size = 0;
      return listing;
    }
  }
  if (pttl == missing) {
    auto outcome = run.record(key);
    if (!outcome || outcome->disposition != Disposition::failed) return std::nullopt;
    listing.size = outcome->out_size + outcome->err_size;
    listing.record = std::move(*outcome);
    return listing;
  }
  auto record = meta.record(key);
  // The hash is not compared, because that would require reading the value.
  if (record && record->out_size == listing.size && is_expiry_of_meta(pttl_of_meta, pttl)) {
    listing.size += record->err_size + record->files_size;
    listing.record = std::move(*record);
  } else {
    listing.record = foreign_record(key, pttl);
  }
  return listing;
}

/// The mark, from the reply to the last of listing_commands().
std::optional<ListedEntry> parse_mark(const Key& key, RedisReply reply) {
  if (reply.is_error()) return std::nullopt;
  auto mark = RedisRecordHash(std::move(reply), WithStderr::no).record(key);
  if (!mark) return std::nullopt;
  return ListedEntry{std::move(*mark), false, 0};
}

/// The replies to listing_commands() for each entry in `some`, from the node that has the entry.
std::vector<RedisReplies> ask_nodes(const RedisStoreContext& context, RedisScan& scan,
                                    std::span<const NumberedKey> some) {
  std::vector<RedisReplies> replies(some.size());
  const auto nodes = scan.nodes();
  for (size_t node = 0; node < nodes.size(); ++node) {
    std::vector<RedisNames> names;
    for (const NumberedKey& one : some)
      if (one.number == node) names.push_back(names_at(context.settings.address, one.key));
    std::vector<RedisCommand> commands;
    for (const RedisNames& entry : names)
      for (RedisCommand& command : listing_commands(entry)) commands.push_back(std::move(command));
    if (commands.empty()) continue;
    RedisReplies all = nodes[node]->try_pipeline(commands);
    for (size_t i = 0; i < some.size(); ++i)
      if (some[i].number == node) replies[i] = all.next(commands.size() / names.size());
  }
  return replies;
}

void list_batch(RedisStoreContext& context, RedisScan& scan, std::span<const NumberedKey> some,
                const std::function<void(const ListedEntry&)>& each) {
  std::vector<RedisReplies> replies = ask_nodes(context, scan, some);
  RedisSession& session = context.session;
  for (size_t i = 0; i < some.size(); ++i) {
    const Key& key = some[i].key;
    session.with_context(key, [&] {
      // A node that no longer has the entry replies with a redirection. Any other error occurs
      // again and is thrown.
      if (replies[i].first_error() != nullptr)
        replies[i] = session.pipeline(listing_commands(session.route_to(key)));
      const auto listing = parse_listing(key, replies[i].next(7));
      if (listing) each(*listing);
      const auto mark = parse_mark(key, replies[i].next());
      if (mark && !(listing && listing->running)) each(*mark);
    });
  }
}

}  // namespace

void list_entries(RedisStoreContext& context, RedisScan& scan,
                  const std::optional<std::string>& tag, const Progress& on_progress,
                  const std::function<void(const ListedEntry&)>& each) {
  KeyList found;
  bool is_sorted = true;
  const auto list_found = [&] {
    if (is_sorted) found.sort();
    for (size_t first = 0; first < found.size(); first += batch_size) {
      std::vector<NumberedKey> some;
      for (size_t i = first; i < std::min(found.size(), first + batch_size); ++i)
        some.push_back(found.at(i));
      list_batch(context, scan, some, each);
    }
    found.clear();
  };
  size_t count = 0;
  scan.each_key(tag, on_progress, [&](const Key& key, size_t node) {
    found.add(key, node);
    if (++count % batch_size == 0) on_progress("found", count);
    is_sorted = is_sorted && found.size() <= max_sorted && found.bytes() <= max_sorted_bytes;
    if (!is_sorted && found.size() >= batch_size) list_found();
  });
  list_found();
}

}  // namespace memolock
