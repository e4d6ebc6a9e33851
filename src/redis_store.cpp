#include "src/redis_store.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "src/error.hpp"
#include "src/redis_entry.hpp"
#include "src/redis_run.hpp"
#include "src/redis_scripts.hpp"
#include "src/redis_watch.hpp"

namespace memolock {
namespace {

// How many entries are asked about in one round trip.
constexpr size_t batch = 500;

/// What `ls` asks of an entry.
std::vector<RedisCommand> listing_commands(const RedisNames& names) {
  return {{"GET", names.lock},
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

/// From the answers to those commands; nothing when there is neither entry nor run, or a key of a
/// foreign type.
std::optional<Listing> listing_from(const Key& key, std::span<const RedisReply> replies) {
  if (first_error(replies) != nullptr) return std::nullopt;
  if (const std::string holder = holder_in(replies[0]); !holder.empty())
    return Listing{run_of_token(key, holder), true, 0};
  constexpr int64_t missing = -2;
  const int64_t left = replies[1].integer;
  Listing listing;
  if (left == missing) {
    auto outcome = record_in(key, replies[5]);
    if (!outcome || outcome->fate != Fate::failed) return std::nullopt;
    listing.size = outcome->out_size + outcome->err_size;
    listing.record = std::move(*outcome);
    return listing;
  }
  listing.size = static_cast<uint64_t>(replies[3].integer);
  auto record = record_in(key, replies[4]);
  // Not by the hash, for which the value would have to be read.
  if (record && record->out_size == listing.size && is_expiry_of_meta(replies[2].integer, left)) {
    listing.size += record->err_size + record->files_size;
    listing.record = std::move(*record);
  } else {
    listing.record = foreign_record(key, left);
  }
  return listing;
}

}  // namespace

void Sighting::note_entry(const RedisReply& token, const RedisReply& length) {
  if (length.type == RedisReply::Type::integer)
    entry = {token.text, static_cast<uint64_t>(length.integer)};
}

void Sighting::note_failure(const RedisReply& outcome) {
  const auto& values = outcome.elements;
  if (values.size() == 2 && values[1].text == fate_in_hash(Fate::failed)) failure = values[0].text;
}

RedisStore::RedisStore(RedisSettings settings, int interrupt, const Log& log)
    : settings_(std::move(settings)),
      log_(log),
      interrupt_(interrupt),
      session_(settings_.address, settings_.timeout, interrupt, log) {
  log_.debug("the store is {}", settings_.address.shown());
}

std::unique_ptr<Entry> RedisStore::look_up(const Key& key) {
  const RedisNames names = session_.names(key);
  std::vector<RedisCommand> commands{
      {"TIME"}, read_record_command(names.meta), {"PTTL", names.value}, {"GET", names.value}};
  if (fetches_files_) commands.push_back({"GET", names.files});
  commands.push_back({"HMGET", names.run, "token", "fate"});
  auto replies = session_.read(commands);
  seen_ = {};
  // Of no use to a hit, and so no reason to refuse one when its key is of a foreign type.
  seen_.note_failure(replies.back());
  replies.pop_back();
  session_.require_answers(key, replies);
  (void)session_.set_clock(replies[0]);
  RedisReply& value = replies[3];
  if (value.type != RedisReply::Type::string) return nullptr;
  const RedisReply& token = token_in(replies[1]);
  seen_.entry = {token.text, value.size};
  RedisReply files = fetches_files_ ? std::move(replies.back()) : RedisReply{};
  if (auto entry = RedisEntry::own(key, std::move(replies[1]), value, std::move(files)))
    return entry;
  Record record = foreign_record(key, replies[2].integer);
  record.out_size = value.size;
  return std::make_unique<RedisEntry>(std::move(record), std::move(value), RedisReply{});
}

std::unique_ptr<Entry> RedisStore::failure(const Key& key) {
  if (seen_.failure.empty()) return nullptr;
  auto outcome = last_outcome(key);
  return outcome && outcome->record().fate == Fate::failed ? std::move(outcome) : nullptr;
}

std::unique_ptr<Entry> RedisStore::last_outcome(const Key& key) {
  const RedisNames names = session_.names(key);
  std::vector<RedisCommand> commands{
      read_record_command(names.run), {"HMGET", names.run, "stdout", "part"}, {"GET", names.part}};
  if (fetches_files_) commands.push_back({"GET", names.files_part});
  auto replies = session_.read(commands);
  auto& out = replies[1].elements;
  if (out.size() != 2) return nullptr;
  const bool in_part = !out[1].text.empty() && out[1].text == token_in(replies[0]).text;
  RedisReply files = fetches_files_ ? std::move(replies.back()) : RedisReply{};
  return RedisEntry::own(key, std::move(replies[0]), in_part ? replies[2] : out[0],
                         std::move(files));
}

std::optional<Record> RedisStore::mark(const Key& key) {
  const RedisNames names = session_.names(key);
  const auto replies = session_.read({{"TIME"}, read_record_command(names.mark, WithStderr::no)});
  session_.require_answers(key, replies);
  (void)session_.set_clock(replies[0]);
  return record_in(key, replies[1]);
}

std::unique_ptr<Lock> RedisStore::try_acquire(const Key& key, Keeper keeper) {
  return acquire_redis_lock(*this, key, keeper);
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
  return !holder_in(session_.pipeline({{"GET", names.lock}}).front()).empty();
}

bool RedisStore::knows(const Key& key) {
  const RedisNames names = session_.names(key);
  const auto replies = session_.read({{"TYPE", names.value},
                                      {"TYPE", names.mark},
                                      {"TYPE", names.lock},
                                      {"TYPE", names.meta},
                                      {"TYPE", names.files},
                                      {"TYPE", names.run},
                                      {"GET", names.lock},
                                      {"HMGET", names.run, "forgotten", "fate"}});
  constexpr std::array<std::string_view, 6> types{"string", "hash",   "string",
                                                  "hash",   "string", "hash"};
  for (size_t i = 0; i < types.size(); ++i)
    if (!replies[i].is_error() && replies[i].text != types.at(i) && replies[i].text != "none")
      throw store_error(session_.worded(foreign_type_in_words(key)));
  session_.require_answers(key, replies);
  const bool stored = replies[0].text != "none" || replies[1].text != "none";
  const std::string holder = holder_in(replies[6]);
  const auto& run = replies[7].elements;
  if (run.size() != 2) throw store_error(session_.worded("HMGET has no answer"));
  return stored || run[1].text == fate_in_hash(Fate::failed) ||
         (!holder.empty() && holder != run[0].text);
}

bool RedisStore::forget(const Key& key) {
  const auto found = forget_entry(key, Whose::anybodys, Types::own);
  if (!found) throw store_error(session_.worded(foreign_type_in_words(key)));
  return *found;
}

std::optional<bool> RedisStore::forget_entry(const Key& key, Whose whose, Types types) {
  const std::string lease = in_milliseconds(settings_.lease);
  const RedisReply reply = session_.run_script(
      redis_scripts::forget, session_.names(key),
      {lease, whose == Whose::anybodys ? "1" : "0", types == Types::any ? "1" : "0"});
  if (reply.text == "type") return std::nullopt;
  return reply.integer > 0;
}

bool RedisStore::break_lock(const Key& key) {
  const RedisNames names = session_.names(key);
  const std::string lease = in_milliseconds(settings_.lease);
  return session_.run_script(redis_scripts::break_lock, names, {names.fail, lease}).integer > 0;
}

size_t RedisStore::forget_all(const std::string& tag, Whose whose) {
  const Types types = whose == Whose::anybodys ? Types::any : Types::own;
  size_t count = 0;
  auto all = keys_of(tag);
  std::stable_sort(all.begin(), all.end(),
                   [](const Located& a, const Located& b) { return a.node < b.node; });
  for (const auto& [key, node] : all)
    if (forget_entry(key, whose, types).value_or(false)) say_progress_("forgotten", ++count);
  return count;
}

/// One for each server that has keys.
std::vector<RedisSession*> RedisStore::nodes() {
  if (!settings_.address.is_cluster()) return {&session_};
  if (nodes_.empty())
    for (RedisAddress& address : session_.primaries())
      nodes_.push_back(
          std::make_unique<RedisSession>(std::move(address), settings_.timeout, interrupt_, log_));
  std::vector<RedisSession*> all;
  for (const auto& node : nodes_) all.push_back(node.get());
  return all;
}

/// All entries and locks of a tag, each once: SCAN may name a key twice, and an entry has several.
std::vector<RedisStore::Located> RedisStore::keys_of(const std::optional<std::string>& tag) {
  std::map<std::pair<std::string, std::string>, size_t> found;
  const std::string pattern = redis_pattern(tag);
  const Brace brace = settings_.address.is_cluster() ? Brace::yes : Brace::no;
  const auto all_nodes = nodes();
  for (size_t node = 0; node < all_nodes.size(); ++node) {
    RedisSession& session = *all_nodes[node];
    std::string cursor = "0";
    do {
      auto reply = std::move(
          session.pipeline({{"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"}}).front());
      if (reply.elements.size() != 2) throw store_error(session.worded("SCAN has no answer"));
      for (const RedisReply& name : reply.elements[1].elements) {
        const auto key = key_of_redis_name(name.text, brace);
        // One that moves may be seen at both.
        if (key && (!tag || key->tag == *tag)) found.insert({{key->tag, key->id}, node});
      }
      cursor = reply.elements[0].text;
      say_progress_("found", found.size());
    } while (cursor != "0");
  }
  std::vector<Located> keys;
  keys.reserve(found.size());
  for (const auto& [name, node] : found) keys.push_back({{name.first, name.second}, node});
  return keys;
}

void RedisStore::list(const std::optional<std::string>& tag,
                      const std::function<void(const Listing&)>& each) {
  const auto keys = keys_of(tag);
  for (size_t first = 0; first < keys.size(); first += batch)
    list_some(std::span(keys).subspan(first, std::min(batch, keys.size() - first)), each);
}

/// Asks each node about all that it has of them, and tells of them in their order.
void RedisStore::list_some(std::span<const Located> some,
                           const std::function<void(const Listing&)>& each) {
  const auto all_nodes = nodes();
  std::vector<std::vector<RedisReply>> replies(some.size());
  for (size_t node = 0; node < all_nodes.size(); ++node) {
    std::vector<RedisNames> names;
    for (const Located& one : some)
      if (one.node == node) names.push_back(names_at(settings_.address, one.key));
    std::vector<RedisCommand> commands;
    for (const RedisNames& its : names)
      for (RedisCommand& command : listing_commands(its)) commands.push_back(std::move(command));
    if (commands.empty()) continue;
    auto answers = all_nodes[node]->ask(commands);
    const size_t step = commands.size() / names.size();
    auto from = answers.begin();
    for (size_t i = 0; i < some.size(); ++i) {
      if (some[i].node != node) continue;
      const auto to = from + static_cast<std::ptrdiff_t>(step);
      replies[i].assign(std::make_move_iterator(from), std::make_move_iterator(to));
      from = to;
    }
  }
  for (size_t i = 0; i < some.size(); ++i) {
    const Key& key = some[i].key;
    // A node that has it no more says so; all other errors come again.
    if (first_error(replies[i]) != nullptr) {
      const RedisNames names = session_.names(key);
      replies[i] = session_.pipeline(listing_commands(names));
    }
    const auto its = std::span<const RedisReply>(replies[i]);
    const auto listing = listing_from(key, its.first(its.size() - 1));
    if (listing) each(*listing);
    auto mark = record_in(key, its.back());
    if (mark && !(listing && listing->running)) each({std::move(*mark), false, 0});
  }
}

}  // namespace memolock
