#include "src/redis_store/outcome.hpp"

#include <algorithm>

#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/lock_requests.hpp"
#include "src/redis_store/scripts.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

// A value of up to this size is sent in a script and published completely. A larger value would
// block the server in the meantime, and could exceed the output buffers of subscribers, which are
// then disconnected.
constexpr uint64_t small_value = 1U << 20;

/// How long the outcome is stored, in the form that the scripts require.
std::string retention_of(const Record& record) {
  return record.retained == forever ? "0" : in_milliseconds(record.retained);
}

}  // namespace

RedisOutcome::RedisOutcome(RedisSession& session, const Key& key,
                           const RedisWritePermission& permission, const Spool& spool,
                           Nanoseconds lease, Nanoseconds retry_for)
    : session_(session),
      key_(key),
      names_(session.route_to(key)),
      permission_(permission),
      spool_(spool),
      lease_(lease),
      retry_for_(retry_for) {}

bool RedisOutcome::is_large() const { return spool_.size(Stream::out) > small_value; }

bool RedisOutcome::may_take_long() const {
  constexpr uint64_t quick = 64U << 10;
  return has_files() || spool_.size(Stream::out) + spool_.size(Stream::err) > quick;
}

RedisArgument RedisOutcome::argument_of(Stream stream) const {
  const uint64_t size = spool_.size(stream);
  if (size == 0) return "";
  return RedisArgument::of_file(spool_.file(stream), spool_.base(stream), size);
}

/// Also records which run the upload belongs to: two holders may upload if one of them has lost its
/// lease.
void RedisOutcome::upload() const {
  if (!needs_upload()) return;
  const std::string life = in_milliseconds(max_time_in_flight(lease_));
  // With the option GET, SET does not overwrite a key of another type.
  std::vector<RedisCommand> commands{{"HSET", names_.run_state, "part", permission_.token},
                                     {"PEXPIRE", names_.run_state, life}};
  const auto add = [&](const std::string& name, Stream of) {
    commands.push_back({"SET", name, argument_of(of), "PX", life, "GET"});
  };
  if (is_large()) add(names_.upload, Stream::out);
  if (has_files()) add(names_.files_upload, Stream::files);
  const RedisReplies answers = session_.transact(commands, retry_for_);
  const std::string* const error = answers.first_error();
  if (error == nullptr) return;
  // The key may contain the upload of another run, which must not be mistaken for that of this run.
  (void)session_.transact({{"HDEL", names_.run_state, "part"}}, retry_for_);
  throw store_error(session_.error_text(key_.shown() + ": " + *error));
}

PublishResult RedisOutcome::keep(const Record& record) const {
  constexpr int max_uploads = 3;
  std::string result = commit(record);
  for (int uploads = 1; result == "part"; ++uploads) {
    if (uploads == max_uploads)
      throw store_error(
          session_.error_text(key_.shown() + ": the uploaded value disappeared each time"));
    upload();
    result = commit(record);
  }
  if (result == "stored") return PublishResult::done;
  if (result == "lost") return PublishResult::lost;
  if (result == "type") throw store_error(session_.error_text(describe_foreign_type(key_)));
  Record shared = record;
  shared.disposition = Disposition::shared;
  return share(shared) == PublishResult::lost ? PublishResult::lost : PublishResult::forgotten;
}

std::string RedisOutcome::commit(const Record& record) const {
  const std::string life = retention_of(record);
  const auto fields = record_fields(record);
  std::vector<RedisArgument> arguments{permission_.token, permission_.acquired_or_rule, life};
  arguments.emplace_back(is_large() ? "part" : "here");
  arguments.push_back(is_large() ? "" : argument_of(Stream::out));
  arguments.emplace_back(names_.value_channel);
  arguments.emplace_back(names_.state_channel);
  arguments.emplace_back(has_files() ? "files" : "");
  const std::string run_ended = in_microseconds(record.ended);
  arguments.emplace_back(run_ended);
  arguments.insert(arguments.end(), fields.begin(), fields.end());
  arguments.emplace_back("stderr");
  arguments.push_back(argument_of(Stream::err));
  return run_script(redis_scripts::commit, arguments,
                    {"stored", "lost", "type", "part", "forgotten"});
}

PublishResult RedisOutcome::mark(const Record& record) const {
  const std::string life = retention_of(record);
  const auto fields = record_fields(record);
  std::vector<RedisArgument> arguments{permission_.token, permission_.acquired_or_rule, life,
                                       names_.state_channel};
  arguments.insert(arguments.end(), fields.begin(), fields.end());
  const std::string result = run_script(redis_scripts::mark, arguments,
                                        {"stored", "forgotten", "lost"});
  if (result == "stored") return PublishResult::done;
  return result == "forgotten" ? PublishResult::forgotten : PublishResult::lost;
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
  std::vector<RedisArgument> arguments{permission_.token, permission_.acquired_or_rule, life,
                                       names_.state_channel};
  arguments.insert(arguments.end(), fields.begin(), fields.end());
  arguments.insert(arguments.end(),
                   {"stdout", shared && !is_large() ? argument_of(Stream::out) : "", "stderr",
                    shared ? argument_of(Stream::err) : ""});
  if (shared && is_large()) arguments.insert(arguments.end(), {"part", permission_.token});
  const std::string result = run_script(redis_scripts::share, arguments, {"shared", "lost"});
  return result == "shared" ? PublishResult::done : PublishResult::lost;
}

/// Runs a script and returns its result, which must be one of `results`.
std::string RedisOutcome::run_script(const RedisScript& script,
                                     const std::vector<RedisArgument>& arguments,
                                     std::initializer_list<std::string_view> results) const {
  return session_.with_context(key_, [&] {
    return session_.run_script(script, names_, arguments, retry_for_).one_of(results);
  });
}

}  // namespace memolock
