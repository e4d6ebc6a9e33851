#include "cli/option_table.hpp"

#include <algorithm>
#include <array>

#include "cli/option_values.hpp"
#include "src/entry/key.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

constexpr unsigned in_get = 1;
constexpr unsigned in_del = 2;
constexpr unsigned in_ls = 4;
constexpr unsigned in_set = 8;
constexpr unsigned in_fail = 16;
constexpr unsigned in_renew = 32;
constexpr unsigned in_doctor = 64;
constexpr unsigned in_once = 128;
constexpr unsigned in_lock = 256;
constexpr unsigned in_exclusive = in_once | in_lock;
constexpr unsigned in_promise = in_set | in_fail | in_renew;
constexpr unsigned in_show = 1U << 10;
constexpr unsigned in_stats = 1U << 11;
constexpr unsigned in_gc = 1U << 12;
constexpr unsigned everywhere = in_get | in_exclusive | in_del | in_ls | in_promise | in_doctor |
                                in_show | in_stats | in_gc;

void set_log(Options& options, const std::string& text) {
  static constexpr Choices<Level, 4> levels{{{"quiet", Level::quiet},
                                             {"warn", Level::warn},
                                             {"info", Level::info},
                                             {"debug", Level::debug}}};
  options.log = choice(text, levels);
}

constexpr Choices<OnTimeout, 3> timeouts{
    {{"fail", OnTimeout::fail}, {"run", OnTimeout::run}, {"stale", OnTimeout::stale}}};

void set_on_timeout(Options& options, const std::string& text) {
  options.policy.on_timeout = choice(text, timeouts);
}

// `lock` does not have the other choices: it stores nothing that could be served.
constexpr Choices<OnTimeout, 2> timeouts_of_lock{
    {{"fail", OnTimeout::fail}, {"run", OnTimeout::run}}};

void set_on_timeout_of_lock(Options& options, const std::string& text) {
  options.policy.on_timeout = choice(text, timeouts_of_lock);
}

constexpr Choices<OnFailure, 2> failures{
    {{"share", OnFailure::share}, {"retry", OnFailure::retry}}};

void set_on_failure(Options& options, const std::string& text) {
  options.policy.on_failure = choice(text, failures);
}

// The minimum is 1: a failure with status 0 would be a success.
void set_status(Options& options, const std::string& text) {
  options.status = exit_status(text, 1);
}

void set_skip_status(Options& options, const std::string& text) {
  options.policy.skip_status = exit_status(text, 0);
}

// If the store cannot be reached, a job that must run on only one host must not run on all of them.
// Its lease must survive longer pauses than that of a query, whose output other callers wait for.
void set_defaults_of_once(Options& options) {
  options.policy.lease = std::chrono::minutes(1);
  options.on_store_error = OnStoreError::fail;
}

void set_defaults_of_lock(Options& options) {
  set_defaults_of_once(options);
  options.policy.on_lost_lease = OnLostLease::kill;
}

constexpr Choices<OnLostLease, 2> lost_leases{
    {{"continue", OnLostLease::keep_running}, {"kill", OnLostLease::kill}}};

void set_on_lost_lease(Options& options, const std::string& text) {
  options.policy.on_lost_lease = choice(text, lost_leases);
}

constexpr Choices<OnStoreError, 2> store_errors{
    {{"run", OnStoreError::run}, {"fail", OnStoreError::fail}}};

void set_on_store_error(Options& options, const std::string& text) {
  options.on_store_error = choice(text, store_errors);
}

void set_tag(Options& options, const std::string& text) {
  if (const auto wrong = check_tag(text)) throw value_error(text, *wrong);
  options.tag = text;
}

void add_id(Options& options, const std::string& text) {
  if (const auto wrong = check_id(text)) throw value_error(text, *wrong);
  // `del` takes several ids; for other verbs the last one applies, as with any option.
  if (options.verb != Verb::del) options.ids.clear();
  options.ids.push_back(text);
}

void set_token(Options& options, const std::string& text) {
  if (text.empty()) throw value_error(text, "is not a token");
  options.token = text;
}

void set_jitter(Options& options, const std::string& text) {
  constexpr std::string_view what = "is not a percentage (write 10 or 10%)";
  std::string_view digits = text;
  if (digits.ends_with('%')) digits.remove_suffix(1);
  options.policy.jitter = number(digits, what);
  if (options.policy.jitter > 100) throw value_error(text, what);
}

// The value is a boolean or the beta of the XFetch rule.
void set_early(Options& options, const std::string& text) {
  options.policy.early.reset();
  const auto wanted = parse_boolean(text);
  const double beta = wanted ? static_cast<double>(*wanted)
                             : number(text, "is not a number (write 1, 0.5 or 2)");
  if (beta > 0) options.policy.early = beta;
}

void set_lease(Options& options, const std::string& text) {
  options.policy.lease = lease_or_timeout(text);
}

void set_wait(Options& options, const std::string& text) {
  options.policy.wait = duration_or_forever(text);
}

// 0 means no limit, as for timeout(1).
void set_max_runtime(Options& options, const std::string& text) {
  const Nanoseconds length = duration(text);
  options.policy.max_runtime.reset();
  if (length > Nanoseconds(0)) options.policy.max_runtime = length;
}

void add_key_file(Options& options, const std::string& text) {
  options.key.files.push_back(path(text, "--key-stdin for stdin, or "));
}

void add_key_env(Options& options, const std::string& text) {
  if (text.empty() || text.find('=') != std::string::npos)
    throw value_error(text, "is not a variable name");
  options.key.variables.push_back(text);
}

void set_key_cwd(Options& options, const std::string& text) { options.key_cwd = flag(text); }

void set_no_key_cwd(Options& options, const std::string& text) { options.no_key_cwd = flag(text); }

void add_artifact(Options& options, const std::string& text) {
  auto& paths = options.policy.artifacts;
  if (std::find(paths.begin(), paths.end(), path(text)) == paths.end()) paths.push_back(text);
}

constexpr std::string_view from_stdin = "/dev/stdin for stdin, or ";

constexpr SettableIn env = SettableIn::environment_and_file;

constexpr auto options = std::to_array<OptionSpec>({
    {"store", "URL", everywhere, env,
     "the store to use: local, file:///DIR or redis://HOST[:PORT][/DB]",
     [](Options& o, const std::string& v) { o.store = v; }},
    {"tag", "TAG", in_get | in_exclusive | in_del | in_show | in_doctor, env,
     "tag of the entry (default: default)", set_tag},
    {"tag", "TAG", in_promise, env, "tag of the entry (default: MEMOLOCK_RUN_TAG, else default)",
     set_tag},
    {"tag", "TAG", in_ls | in_stats, env, "show only this tag (default: all tags)", set_tag},
    {"id", "ID", in_get, SettableIn::nowhere,
     "id of the entry (default: derived from the command and the working directory)", add_id},
    {"id", "ID", in_exclusive | in_show, SettableIn::nowhere, "id of the entry; required", add_id},
    {"id", "ID", in_del, SettableIn::nowhere, "id of an entry; repeatable", add_id},
    {"id", "ID", in_promise, SettableIn::nowhere, "id of the entry (default: MEMOLOCK_RUN_ID)",
     add_id},
    {"key-file", "PATH", in_get, env, "a change in this file or directory is a miss; repeatable",
     add_key_file},
    {"key-env", "NAME", in_get, env, "a change of this variable is a miss; repeatable",
     add_key_env},
    {"key-cwd", nullptr, in_get, env, "include the working directory in the id, even with --id",
     set_key_cwd},
    {"no-key-cwd", nullptr, in_get, env, "do not include the working directory in the id",
     set_no_key_cwd},
    {"key-stdin", nullptr, in_get, env,
     "include all of stdin in the id; the command can still read it",
     [](Options& o, const std::string& v) { o.key.standard_input = flag(v); }},
    {"token", "TOKEN", in_promise, SettableIn::nowhere,
     "act only if TOKEN holds the lock (default: MEMOLOCK_RUN_TOKEN)", set_token},
    {"status", "N", in_fail, SettableIn::nowhere, "exit status of the failure (default: 1)",
     set_status},
    {"ttl", "DURATION", in_get | in_once | in_set, env,
     "how long the result is fresh (once: time between runs); 0: do not store it; forever",
     [](Options& o, const std::string& v) { o.policy.ttl = duration_or_forever(v); }},
    {"refresh", nullptr, in_get, env, "ignore results of runs that began before this call",
     [](Options& o, const std::string& v) { o.policy.refresh = flag(v); }},
    {"stale", "DURATION", in_get | in_set, env,
     "serve the old result this long past the ttl while one background run refreshes it",
     [](Options& o, const std::string& v) { o.policy.stale = duration_or_forever(v); }},
    {"stale-if-error", "DURATION", in_get | in_set, env,
     "serve the old result this long past the ttl if the command fails or --wait has passed",
     [](Options& o, const std::string& v) { o.policy.stale_if_error = duration_or_forever(v); }},
    {"early", nullptr, in_get, env,
     "=BETA: refresh at random before the ttl has passed, the earlier the longer a run takes",
     set_early},
    {"jitter", "PERCENT", in_get, env, "shorten each ttl at random by up to this much", set_jitter},
    {"cache-failures", "DURATION", in_get, env,
     "also store the result of a failed run, for this long",
     [](Options& o, const std::string& v) { o.policy.cache_failures = duration_or_forever(v); }},
    {"wait", "DURATION", in_get, env,
     "longest wait for a holder and the store (default: forever; without COMMAND: do not wait)",
     set_wait},
    {"wait", "DURATION", in_lock, env, "longest wait for the lock and the store (default: forever)",
     set_wait},
    {"on-timeout", names_of<timeouts>.data(), in_get, env,
     "when --wait has passed: exit with 124, run without the store, or serve the entry, however "
     "old",
     set_on_timeout},
    {"on-timeout", names_of<timeouts_of_lock>.data(), in_lock, env,
     "when --wait has passed: exit with 124, or run COMMAND without the lock",
     set_on_timeout_of_lock, "stale"},
    {"on-failure", names_of<failures>.data(), in_get | in_once, env,
     "if the holder's command (once: the last run) failed: share its result, or run again",
     set_on_failure},
    {"skip-status", "N", in_once, env, "exit status if the command is not run (default: 0)",
     set_skip_status},
    {"max-runtime", "DURATION", in_get | in_exclusive, env,
     "stop the command after this long and exit with 124; 0: no limit",
     [](Options& o, const std::string& v) { set_max_runtime(o, v); }},
    {"drain", "DURATION", in_get, env,
     "longest wait for the end of stdout after the command has exited (default: forever)",
     [](Options& o, const std::string& v) { o.policy.drain = duration_or_forever(v); }},
    {"on-store-error", names_of<store_errors>.data(), in_get | in_exclusive, env,
     "if the store is unusable: run COMMAND without it, or exit with 125", set_on_store_error},
    {"external", nullptr, in_get, env,
     "COMMAND only starts the work; another process sets the result",
     [](Options& o, const std::string& v) {
       o.policy.producer = flag(v) ? Producer::external : Producer::command;
     }},
    {"lease", "DURATION", in_get, env,
     "how long a lock on a server, or a promise, lasts unless it is renewed (default: 10s)",
     set_lease},
    {"lease", "DURATION", in_exclusive, env,
     "how long a lock on a server lasts unless it is renewed (default: 1m)", set_lease},
    {"lease", "DURATION", in_renew, env,
     "make the promise last this long from now (default: its own lease)", set_lease},
    {"on-lost-lease", names_of<lost_leases>.data(), in_get | in_exclusive, env,
     "if the lease could not be renewed in time: let the command continue, or kill it",
     set_on_lost_lease},
    {"store-timeout", "DURATION", everywhere, env,
     "time limit for connecting to a server, and for each request (default: 2s)",
     [](Options& o, const std::string& v) { o.store_timeout = lease_or_timeout(v); }},
    {"password-file", "FILE", everywhere, env, "the server's password is the first line of FILE",
     [](Options& o, const std::string& v) { o.password_file = optional_path(v, from_stdin); }},
    {"sentinel-user", "USER", everywhere, env, "user name for the sentinels",
     [](Options& o, const std::string& v) { o.sentinel_user = v; }},
    {"sentinel-password-file", "FILE", everywhere, env,
     "the sentinels' password is the first line of FILE",
     [](Options& o,
        const std::string& v) { o.sentinel_password_file = optional_path(v, from_stdin); }},
    {"tls-ca", "PATH", everywhere, env, "trusted certificates: a file, or a hashed directory",
     [](Options& o, const std::string& v) { o.tls.ca = optional_path(v); }},
    {"tls-cert", "FILE", everywhere, env, "client certificate",
     [](Options& o, const std::string& v) { o.tls.cert = optional_path(v); }},
    {"tls-key", "FILE", everywhere, env, "private key of the client certificate",
     [](Options& o, const std::string& v) { o.tls.key = optional_path(v); }},
    {"tls-server-name", "HOST", everywhere, env,
     "host name that the server's certificate must contain",
     [](Options& o, const std::string& v) { o.tls.server_name = v; }},
    {"max-entry", "SIZE", in_get | in_set, env,
     "do not store a larger result (default: 1GiB; 64MiB on a server)",
     [](Options& o, const std::string& v) { o.max_entry = size(v); }},
    {"artifact", "PATH", in_get, env,
     "store this file or directory with the result, and restore it on a hit; repeatable",
     add_artifact},
    {"report", "FILE", in_get | in_exclusive, env, "append a JSON line about this call to FILE",
     [](Options& o, const std::string& v) {
       o.report = optional_path(v, "/dev/stdout for stdout, or ");
     }},
    {"all", nullptr, in_del, SettableIn::nowhere, "delete all entries of the tag given with --tag",
     [](Options& o, const std::string& v) { o.all = flag(v); }},
    {"foreign", nullptr, in_del, SettableIn::nowhere,
     "with --all: also delete what other programs have stored",
     [](Options& o, const std::string& v) { o.foreign = flag(v); }},
    {"lock", nullptr, in_del, SettableIn::nowhere,
     "also break the lock, even if its holder is alive",
     [](Options& o, const std::string& v) { o.lock = flag(v); }},
    {"dry-run", nullptr, in_del | in_gc, SettableIn::nowhere,
     "print how many would be removed, but remove nothing",
     [](Options& o, const std::string& v) { o.dry_run = flag(v); }},
    {"max-size", "SIZE", in_get | in_gc, env,
     "size limit of the local store, which gc enforces (default: 5GiB)",
     [](Options& o, const std::string& v) { o.max_size = size(v); }},
    {"reset", nullptr, in_stats, SettableIn::nowhere, "reset the counters that are printed",
     [](Options& o, const std::string& v) { o.reset = flag(v); }},
    {"fix", nullptr, in_doctor, SettableIn::nowhere,
     "first repair the file modes of this user's local store",
     [](Options& o, const std::string& v) { o.fix = flag(v); }},
    {"json", nullptr, in_doctor | in_ls | in_show | in_stats | in_gc, SettableIn::nowhere,
     "print one JSON document instead of lines",
     [](Options& o, const std::string& v) { o.json = flag(v); }},
    {"bypass", nullptr, in_get | in_exclusive, SettableIn::environment_alone,
     "MEMOLOCK_BYPASS: run the command without memolock",
     [](Options& o, const std::string& v) { o.bypass = flag(v); }},
    {"log", "LEVEL", 0, env, "MEMOLOCK_LOG: the same as -v and -q", set_log},
});

constexpr auto verbs = std::to_array<VerbSpec>({
    {Verb::get, in_get, WordsAllowed::any, "get",
     "memolock get [OPTION]... [--] [COMMAND [ARG]...]",
     "Replay a fresh result, or run COMMAND once for all concurrent callers and store its result."},
    {Verb::once, in_once, WordsAllowed::any, "once",
     "memolock once [OPTION]... --id ID --ttl DURATION [--] COMMAND [ARG]...",
     "Run COMMAND unless a run began less than --ttl ago or is in progress; for cron jobs.",
     set_defaults_of_once},
    {Verb::lock, in_lock, WordsAllowed::any, "lock",
     "memolock lock [OPTION]... --id ID [--] COMMAND [ARG]...",
     "Run COMMAND while holding the lock; other callers wait for their turn.",
     set_defaults_of_lock},
    // `key` has the options of `get`, so that it can replace `get` on any command line.
    {Verb::key, in_get, WordsAllowed::any, "key",
     "memolock key [OPTION]... [--] [COMMAND [ARG]...]",
     "Print the id that get would use with the same options; with -v, also its parts."},
    {Verb::set, in_set, WordsAllowed::any, "set", "memolock set [OPTION]... --ttl DURATION [FILE]",
     "Store FILE or stdin as the result, and wake the waiters."},
    {Verb::fail, in_fail, WordsAllowed::none, "fail", "memolock fail [OPTION]...",
     "End a promise with a failure, whose message is read from stdin."},
    {Verb::renew, in_renew, WordsAllowed::none, "renew", "memolock renew [OPTION]...",
     "Extend a promise by one --lease."},
    {Verb::del, in_del, WordsAllowed::none, "del",
     "memolock del [OPTION]... --id ID... | --all --tag TAG",
     "Delete entries, and print how many."},
    {Verb::ls, in_ls, WordsAllowed::none, "ls", "memolock ls [OPTION]...",
     "List entries and runs: tag, id, state, age, time left, size, holder."},
    {Verb::show, in_show, WordsAllowed::none, "show", "memolock show [OPTION]... --id ID",
     "Print everything that is stored about one entry."},
    {Verb::stats, in_stats, WordsAllowed::none, "stats", "memolock stats [OPTION]...",
     "Print the counters of this machine: hits, misses, seconds saved."},
    {Verb::gc, in_gc, WordsAllowed::none, "gc", "memolock gc [OPTION]...",
     "Remove expired entries from the local store, and others until it is below --max-size."},
    {Verb::doctor, in_doctor, WordsAllowed::none, "doctor", "memolock doctor [OPTION]...",
     "Check the store, and suggest a remedy for each problem."},
    {Verb::completion, 0, WordsAllowed::any, "completion", "memolock completion bash|zsh|fish",
     "Print the completion script of a shell."},
});

}  // namespace

std::span<const OptionSpec> all_options() { return options; }
std::span<const VerbSpec> all_verbs() { return verbs; }

}  // namespace memolock
