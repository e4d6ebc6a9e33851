#include "src/redis_store/outcome.hpp"

#include <algorithm>

#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/scripts.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

// A value up to here is announced whole, and goes through a script; a larger one would hold up the
// server there, and be cut off on the channel.
constexpr uint64_t small_value = 1U << 20;

/// As scripts take it that do nothing with 0.
std::string life_of(Nanoseconds length) {
  return length > Nanoseconds(0) ? in_milliseconds(length) : "0";
}

/// How long it is stored, as scripts take it.
std::string life_of(const Record& record) {
  return record.retained == forever ? "0" : in_milliseconds(record.retained);
}

std::string_view word_of(MayHaveStored stored) {
  switch (stored) {
    case MayHaveStored::entry:
      return "entry";
    case MayHaveStored::outcome:
      return "outcome";
    case MayHaveStored::nothing:
      break;
  }
  return "nothing";
}

}  // namespace

Nanoseconds max_time_in_flight(Nanoseconds lease) { return after(lease, std::chrono::minutes(1)); }

RedisOutcome::RedisOutcome(RedisSession& session, const Key& key,
                           const RedisStoreCondition& condition, const Spool& spool,
                           Nanoseconds lease, Nanoseconds retry_for)
    : session_(session),
      key_(key),
      names_(session.names(key)),
      condition_(condition),
      spool_(spool),
      lease_(lease),
      retry_for_(retry_for) {}

bool RedisOutcome::is_large() const { return spool_.size(Stream::out) > small_value; }

bool RedisOutcome::may_take_long() const {
  constexpr uint64_t quick = 64U << 10;
  return has_files() || spool_.size(Stream::out) + spool_.size(Stream::err) > quick;
}

RedisArgument RedisOutcome::stream(Stream stream) const {
  const uint64_t size = spool_.size(stream);
  if (size == 0) return "";
  return RedisArgument::of_file(spool_.file(stream), spool_.base(stream), size);
}

/// Says whose it is, too: two holders may write there when one has lost its lease.
void RedisOutcome::upload() const {
  if (!needs_upload()) return;
  // It should outlive the steps between, and no longer.
  const std::string life = in_milliseconds(max_time_in_flight(lease_));
  // GET has it refuse to overwrite another type.
  std::vector<RedisCommand> commands{{"HSET", names_.run, "part", condition_.token},
                                     {"PEXPIRE", names_.run, life}};
  const auto add = [&](const std::string& name, Stream of) {
    commands.push_back({"SET", name, stream(of), "PX", life, "GET"});
  };
  if (is_large()) add(names_.part, Stream::out);
  if (has_files()) add(names_.files_part, Stream::files);
  const RedisAnswers answers = session_.transact(commands, retry_for_);
  const std::string* const error = answers.first_error();
  if (error == nullptr) return;
  // What lies there may be another's; nobody is to take it for this run's.
  (void)session_.transact({{"HDEL", names_.run, "part"}}, retry_for_);
  throw store_error(session_.error_text_of(key_.shown() + ": " + *error));
}

PublishResult RedisOutcome::keep(const Record& record) const {
  constexpr int most_uploads = 3;
  std::string answer = commit(record);
  for (int uploads = 1; answer == "part"; ++uploads) {
    if (uploads == most_uploads)
      throw store_error(
          session_.error_text_of(key_.shown() + ": what was uploaded is gone each time"));
    upload();
    answer = commit(record);
  }
  if (answer == "stored") return PublishResult::done;
  if (answer == "lost") return PublishResult::lost;
  if (answer == "type") throw store_error(session_.error_text_of(describe_foreign_type(key_)));
  Record shared = record;
  shared.disposition = Disposition::shared;
  return share(shared) == PublishResult::lost ? PublishResult::lost : PublishResult::forgotten;
}

std::string RedisOutcome::commit(const Record& record) const {
  const std::string life = life_of(record);
  const auto fields = record_fields(record);
  std::vector<RedisArgument> arguments{condition_.token, condition_.acquired, life};
  arguments.emplace_back(is_large() ? "part" : "here");
  arguments.push_back(is_large() ? "" : stream(Stream::out));
  arguments.emplace_back(names_.notif);
  arguments.emplace_back(names_.fail);
  arguments.emplace_back(has_files() ? "files" : "");
  const std::string run_ended = in_microseconds(record.ended);
  arguments.emplace_back(run_ended);
  arguments.insert(arguments.end(), fields.begin(), fields.end());
  arguments.emplace_back("stderr");
  arguments.push_back(stream(Stream::err));
  return answer(redis_scripts::commit, arguments, {"stored", "lost", "type", "part", "forgotten"});
}

PublishResult RedisOutcome::mark(const Record& record) const {
  const std::string life = life_of(record);
  const auto fields = record_fields(record);
  std::vector<RedisArgument> arguments{condition_.token, condition_.acquired, life, names_.fail};
  arguments.insert(arguments.end(), fields.begin(), fields.end());
  const std::string said = answer(redis_scripts::mark, arguments, {"stored", "forgotten", "lost"});
  if (said == "stored") return PublishResult::done;
  return said == "forgotten" ? PublishResult::forgotten : PublishResult::lost;
}

PublishResult RedisOutcome::share(Record record) const {
  const bool shared = record.disposition == Disposition::shared ||
                      record.disposition == Disposition::failed;
  if (!shared) {
    record.out_size = record.err_size = record.files_size = 0;
    record.out_hash = record.err_hash = checksum("");
  }
  const Nanoseconds kept_for = record.disposition == Disposition::failed ? record.retained
                                                                         : Nanoseconds(0);
  const std::string life = in_milliseconds(std::max(lease_, kept_for));
  const auto fields = record_fields(record);
  std::vector<RedisArgument> arguments{condition_.token, condition_.acquired, life, names_.fail};
  arguments.insert(arguments.end(), fields.begin(), fields.end());
  arguments.insert(arguments.end(), {"stdout", shared && !is_large() ? stream(Stream::out) : "",
                                     "stderr", shared ? stream(Stream::err) : ""});
  if (shared && is_large()) arguments.insert(arguments.end(), {"part", condition_.token});
  const std::string said = answer(redis_scripts::share, arguments, {"shared", "lost"});
  return said == "shared" ? PublishResult::done : PublishResult::lost;
}

/// What a script has said, which must be one of its words.
std::string RedisOutcome::answer(const RedisScript& script,
                                 const std::vector<RedisArgument>& arguments,
                                 std::initializer_list<std::string_view> words) const {
  return session_.with_context(key_, [&] {
    return session_.run_script(script, names_, arguments, retry_for_).one_of(words);
  });
}

void release_redis_lock(RedisSession& session, const Key& key, const std::string& token,
                        const RedisReleaseOptions& options) {
  const std::string lock = life_of(options.lock);
  const std::string marker = life_of(options.marker);
  const RedisNames names = session.names(key);
  session.with_context(key, [&] {
    (void)session.run_script(redis_scripts::release, names, {token, names.fail, lock, marker})
        .count();
  });
}

void withdraw_redis_run(RedisSession& session, const Key& key, const std::string& token,
                        MayHaveStored stored, Nanoseconds lease, Nanoseconds marker) {
  const std::string life = in_milliseconds(max_time_in_flight(lease));
  const std::string marked = life_of(marker);
  const RedisNames names = session.names(key);
  session.with_context(key, [&] {
    (void)session
        .run_script(redis_scripts::withdraw, names,
                    {token, names.fail, life, marked, word_of(stored)})
        .count();
  });
}

void discard_redis_upload(RedisSession& session, const Key& key, const std::string& token) {
  const RedisNames names = session.names(key);
  session.with_context(key, [&] {
    (void)session.run_script(redis_scripts::discard, names, {token}).one_of({"lost"});
  });
}

}  // namespace memolock
