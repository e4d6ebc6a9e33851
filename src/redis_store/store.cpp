#include "src/redis_store/store.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/lock.hpp"
#include "src/redis_store/outcome.hpp"
#include "src/redis_store/scripts.hpp"
#include "src/redis_store/watch.hpp"
#include "src/system/error.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

// How many entries are asked about in one round trip; a MiB or two of answers.
constexpr size_t batch = 200;
// Up to so many entries are listed in order, unless their names have more bytes than that.
constexpr size_t most_sorted = 100'000;
constexpr size_t most_sorted_bytes = 8U << 20;
// Of a server that names more, or that names none so often in a row, SCAN is not believed to end.
constexpr size_t most_entries = 4'000'000;
constexpr size_t most_vain_rounds = 1'000'000;

/// What `ls` asks of an entry.
std::vector<RedisCommand> listing_commands(const RedisNames& names) {
  return {{"GET", names.lock},
          {"PTTL", names.lock},
          {"PTTL", names.value},
          {"PTTL", names.meta},
          {"STRLEN", names.value},
          read_record_command(names.meta, WithStderr::no),
          read_record_command(names.run, WithStderr::no),
          read_record_command(names.mark, WithStderr::no)};
}

/// Whether a meta that lives so long, in milliseconds or -1, can be that of such a value; see
/// is_own in the scripts.
bool is_expiry_of_meta(int64_t of_meta, int64_t of_value) {
  constexpr int64_t linger = 1000;
  if (of_value < 0) return of_meta == of_value;
  return std::abs(of_meta - linger - of_value) <= linger / 2;
}

/// From the answers to those commands but the last; nothing when there is neither entry nor run, or
/// a key of a foreign type.
std::optional<Listing> listing_from(const Key& key, RedisAnswers answers) {
  if (answers.first_error() != nullptr) return std::nullopt;
  const std::string holder = holder_in(answers.next());
  const int64_t left_of_lock = life_in(answers.next());
  const int64_t left = life_in(answers.next());
  const int64_t left_of_meta = life_in(answers.next());
  Listing listing;
  listing.size = answers.next().count();
  const RedisHash meta(answers.next(), WithStderr::no);
  const RedisHash run(answers.next(), WithStderr::no);
  constexpr int64_t missing = -2;
  if (!holder.empty()) {
    Record run_in_progress = run_of_token(key, holder);
    if (run_in_progress.foreign) listing.foreign_lock = lifetime(left_of_lock);
    if (!run_in_progress.foreign || left == missing) {
      listing.record = std::move(run_in_progress);
      listing.running = true;
      listing.size = 0;
      return listing;
    }
  }
  if (left == missing) {
    auto outcome = run.record(key);
    if (!outcome || outcome->disposition != Disposition::failed) return std::nullopt;
    listing.size = outcome->out_size + outcome->err_size;
    listing.record = std::move(*outcome);
    return listing;
  }
  auto record = meta.record(key);
  // Not by the hash, for which the value would have to be read.
  if (record && record->out_size == listing.size && is_expiry_of_meta(left_of_meta, left)) {
    listing.size += record->err_size + record->files_size;
    listing.record = std::move(*record);
  } else {
    listing.record = foreign_record(key, left);
  }
  return listing;
}

/// The mark, from the last of those answers.
std::optional<Listing> mark_from(const Key& key, RedisReply answer) {
  if (answer.is_error()) return std::nullopt;
  auto mark = RedisHash(std::move(answer), WithStderr::no).record(key);
  if (!mark) return std::nullopt;
  return Listing{std::move(*mark), false, 0};
}

}  // namespace

void StoredVersion::note_failure(const RedisReply& outcome) {
  const auto [token, disposition] = outcome.array<2>();
  if (disposition->text_or_empty() == disposition_in_hash(Disposition::failed))
    failure = token->text_or_empty();
}

RedisStore::RedisStore(RedisSettings settings, const Cutoff& cutoff, const Log& log)
    : settings_(std::move(settings)),
      log_(log),
      once_(log),
      cutoff_(cutoff),
      session_(settings_.address, settings_.timeout, cutoff, log) {
  session_.limit_strings(settings_.max_entry);
  log_.debug("the store is {}", settings_.address.shown());
}

template <typename Read>
std::unique_ptr<Entry> RedisStore::unless_too_large(const Key& key, const Read& read) {
  try {
    return session_.with_context(key, read);
  } catch (const OversizedReply&) {
    once_.info("{}: {}", key.shown(), describe_too_large(settings_.max_entry));
    return nullptr;
  }
}

std::unique_ptr<Entry> RedisStore::look_up(const Key& key) {
  const RedisNames names = session_.names(key);
  std::vector<RedisCommand> commands{
      {"TIME"}, read_record_command(names.meta), {"PTTL", names.value}, {"GET", names.value}};
  if (includes_artifacts_) commands.push_back({"GET", names.files});
  commands.push_back({"HMGET", names.run, "token", "fate"});
  seen_ = {};
  return unless_too_large(key, [&]() -> std::unique_ptr<Entry> {
    RedisAnswers answers = session_.read(commands);
    (void)session_.set_clock(answers.next());
    RedisHash hash(answers.next());
    const int64_t left = life_in(answers.next());
    auto value = answers.next().take_string();
    auto files = includes_artifacts_ ? answers.next().take_string() : std::nullopt;
    // Of no use to a hit, and so no reason to refuse one when its key is of a foreign type.
    const RedisReply outcome = answers.next();
    if (!outcome.is_error()) seen_.note_failure(outcome);
    if (!value) return nullptr;
    seen_.entry = {hash.token(), value->size};
    if (auto entry = RedisEntry::own(key, hash, *value, std::move(files).value_or(RedisString{})))
      return entry;
    Record record = foreign_record(key, left);
    record.out_size = value->size;
    return std::make_unique<RedisEntry>(std::move(record), std::move(*value), RedisString{});
  });
}

std::unique_ptr<Entry> RedisStore::failure(const Key& key) {
  if (seen_.failure.empty()) return nullptr;
  auto outcome = last_outcome(key);
  return outcome && outcome->record().disposition == Disposition::failed ? std::move(outcome)
                                                                         : nullptr;
}

std::unique_ptr<Entry> RedisStore::last_outcome(const Key& key) {
  const RedisNames names = session_.names(key);
  std::vector<RedisCommand> commands{
      read_record_command(names.run), {"HMGET", names.run, "stdout", "part"}, {"GET", names.part}};
  if (includes_artifacts_) commands.push_back({"GET", names.files_part});
  return unless_too_large(key, [&]() -> std::unique_ptr<Entry> {
    RedisAnswers answers = session_.read(commands);
    RedisReply run = answers.next();
    RedisReply texts = answers.next();
    if (run.is_error()) return nullptr;  // a foreign type of key has no outcome
    RedisHash hash(std::move(run));
    const auto [here, part] = texts.array<2>();
    RedisReply in_part = answers.next();
    auto files = includes_artifacts_ ? answers.next().take_string() : std::nullopt;
    const bool is_in_part = !part->is_nil() && part->text() == hash.token();
    auto out = is_in_part ? in_part.take_string() : here->take_string();
    if (!out) return nullptr;
    return RedisEntry::own(key, hash, *out, std::move(files).value_or(RedisString{}));
  });
}

std::optional<Record> RedisStore::mark(const Key& key) {
  const RedisNames names = session_.names(key);
  return session_.with_context(key, [&] {
    RedisAnswers answers = session_.read(
        {{"TIME"}, read_record_command(names.mark, WithStderr::no)});
    (void)session_.set_clock(answers.next());
    return RedisHash(answers.next(), WithStderr::no).record(key);
  });
}

std::unique_ptr<Lock> RedisStore::try_acquire(const Key& key, Producer producer) {
  return acquire_redis_lock(*this, key, producer);
}

std::unique_ptr<Watch> RedisStore::watch(const Key& key) {
  auto watch = std::make_unique<RedisWatch>(*this, key);
  if (!watch->is_on()) return nullptr;
  return watch;
}

std::unique_ptr<Promise> RedisStore::promise(const Key& key, const std::string& token) {
  return redis_promise(*this, key, token);
}

bool RedisStore::is_locked(const Key& key) {
  const RedisNames names = session_.names(key);
  return session_.with_context(key, [&] {
    return !holder_in(session_.pipeline({{"GET", names.lock}}).next()).empty();
  });
}

bool RedisStore::exists(const Key& key) {
  const RedisNames names = session_.names(key);
  const std::vector<RedisCommand> commands{
      {"TYPE", names.value}, {"TYPE", names.mark},
      {"TYPE", names.lock},  {"TYPE", names.meta},
      {"TYPE", names.files}, {"TYPE", names.run},
      {"GET", names.lock},   {"HMGET", names.run, "forgotten", "fate"}};
  return session_.with_context(key, [&] {
    RedisAnswers answers = session_.read(commands);
    // Whether there is such a key.
    const auto is_there = [&](std::string_view type) {
      const RedisReply found = answers.next();
      if (found.text() != type && found.text() != "none")
        throw store_error(session_.error_text_of(describe_foreign_type(key)));
      return found.text() != "none";
    };
    const bool has_value = is_there("string");
    const bool has_mark = is_there("hash");
    for (const char* const type : {"string", "hash", "string", "hash"}) (void)is_there(type);
    const std::string holder = holder_in(answers.next());
    const RedisReply run = answers.next();
    const auto [forgotten, disposition] = run.array<2>();
    return has_value || has_mark ||
           disposition->text_or_empty() == disposition_in_hash(Disposition::failed) ||
           (!holder.empty() && holder != forgotten->text_or_empty());
  });
}

bool RedisStore::forget(const Key& key) {
  const auto found = forget_entry(key, Ownership::any, Types::own);
  if (!found) throw store_error(session_.error_text_of(describe_foreign_type(key)));
  return *found;
}

std::optional<bool> RedisStore::forget_entry(const Key& key, Ownership ownership, Types types) {
  const std::string lease = in_milliseconds(settings_.lease);
  return session_.with_context(key, [&]() -> std::optional<bool> {
    const RedisReply reply = session_.run_script(
        redis_scripts::forget, session_.names(key),
        {lease, ownership == Ownership::any ? "1" : "0", types == Types::any ? "1" : "0"});
    if (reply.is_text("type")) return std::nullopt;
    return reply.count() > 0;
  });
}

bool RedisStore::break_lock(const Key& key) {
  const RedisNames names = session_.names(key);
  const std::string life = in_milliseconds(max_time_in_flight(settings_.lease));
  return session_.with_context(key, [&] {
    return session_.run_script(redis_scripts::break_lock, names, {names.fail, life}).count() > 0;
  });
}

size_t RedisStore::forget_all(const std::string& tag, Ownership ownership) {
  const Types types = ownership == Ownership::any ? Types::any : Types::own;
  size_t count = 0;
  walk(tag, [&](const Key& key, size_t) {
    if (forget_entry(key, ownership, types).value_or(false)) say_progress_("forgotten", ++count);
  });
  return count;
}

/// One for each server that has keys.
std::vector<RedisSession*> RedisStore::nodes() {
  if (!settings_.address.is_cluster()) return {&session_};
  if (nodes_.empty())
    for (RedisAddress& address : session_.primaries()) {
      nodes_.push_back(
          std::make_unique<RedisSession>(std::move(address), settings_.timeout, cutoff_, log_));
      nodes_.back()->limit_strings(settings_.max_entry);
    }
  std::vector<RedisSession*> all;
  for (const auto& node : nodes_) all.push_back(node.get());
  return all;
}

/// SCAN may name a key twice, an entry has several, and one that moves may be seen at two nodes.
void RedisStore::walk(const std::optional<std::string>& tag,
                      const std::function<void(const Key&, size_t node)>& see) {
  SeenNames seen;
  const Brace brace = settings_.address.is_cluster() ? Brace::yes : Brace::no;
  const auto all_nodes = nodes();
  for (size_t node = 0; node < all_nodes.size(); ++node) {
    walk_node(*all_nodes[node], redis_pattern(tag), [&](const std::string& name) {
      const auto key = key_of_redis_name(name, brace);
      if (!key || (tag && key->tag != *tag) || !seen.add(key->tag + '\0' + key->id)) return false;
      if (seen.size() > most_entries)
        throw store_error(all_nodes[node]->error_text_of(
            fmt::format("SCAN has named more than {} entries", most_entries)));
      see(*key, node);
      return true;
    });
    say_progress_("found", seen.size());
  }
}

/// A server may answer as it likes: a cursor that comes again is looked for as Brent does it.
void RedisStore::walk_node(RedisSession& node, const std::string& pattern,
                           const std::function<bool(const std::string& name)>& is_new) {
  const auto fail = [&] { throw store_error(node.error_text_of("SCAN does not end")); };
  std::string cursor = "0";
  std::string earlier;
  size_t vain = 0;
  size_t since = 0;
  size_t look_for = 1;  // rounds
  do {
    ++vain;
    node.with_context([&] {
      const RedisReply reply = node.pipeline({{"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"}})
                                   .next();
      const auto [next, found] = reply.array<2>();
      for (const RedisReply& name : found->list())
        if (!name.string().file && is_new(name.text())) vain = 0;  // else longer than any of ours
      cursor = next->text();
    });
    if (vain > most_vain_rounds || cursor == earlier) fail();
    if (++since < look_for) continue;
    earlier = cursor;
    since = 0;
    look_for *= 2;
  } while (cursor != "0");
}

void RedisStore::list(const std::optional<std::string>& tag,
                      const std::function<void(const Listing&)>& each) {
  KeyList found;
  bool is_sorted = true;
  const auto tell = [&] {
    if (is_sorted) found.sort();
    for (size_t first = 0; first < found.size(); first += batch) {
      std::vector<NumberedKey> some;
      for (size_t i = first; i < std::min(found.size(), first + batch); ++i)
        some.push_back(found.at(i));
      list_some(some, each);
    }
    found.clear();
  };
  size_t count = 0;
  walk(tag, [&](const Key& key, size_t node) {
    found.add(key, node);
    if (++count % batch == 0) say_progress_("found", count);
    is_sorted = is_sorted && found.size() <= most_sorted && found.bytes() <= most_sorted_bytes;
    if (!is_sorted && found.size() >= batch) tell();
  });
  tell();
}

/// Asks each node about all that it has of them, and tells of them in their order.
void RedisStore::list_some(std::span<const NumberedKey> some,
                           const std::function<void(const Listing&)>& each) {
  const auto all_nodes = nodes();
  std::vector<RedisAnswers> answers(some.size());
  for (size_t node = 0; node < all_nodes.size(); ++node) {
    std::vector<RedisNames> names;
    for (const NumberedKey& one : some)
      if (one.number == node) names.push_back(names_at(settings_.address, one.key));
    std::vector<RedisCommand> commands;
    for (const RedisNames& its : names)
      for (RedisCommand& command : listing_commands(its)) commands.push_back(std::move(command));
    if (commands.empty()) continue;
    RedisAnswers all = all_nodes[node]->ask(commands);
    for (size_t i = 0; i < some.size(); ++i)
      if (some[i].number == node) answers[i] = all.next(commands.size() / names.size());
  }
  for (size_t i = 0; i < some.size(); ++i) {
    const Key& key = some[i].key;
    session_.with_context(key, [&] {
      // A node that has it no more says so; all other errors come again.
      if (answers[i].first_error() != nullptr)
        answers[i] = session_.pipeline(listing_commands(session_.names(key)));
      const auto listing = listing_from(key, answers[i].next(7));
      if (listing) each(*listing);
      const auto mark = mark_from(key, answers[i].next());
      if (mark && !(listing && listing->running)) each(*mark);
    });
  }
}

}  // namespace memolock
