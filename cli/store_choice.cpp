#include "cli/store_choice.hpp"

#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <vector>

#include <fmt/format.h>

#include "cli/option_rules.hpp"
#include "cli/option_values.hpp"
#include "src/command/control_file.hpp"
#include "src/doctor/control_files.hpp"
#include "src/doctor/local_store.hpp"
#include "src/doctor/repair.hpp"
#include "src/doctor/server.hpp"
#include "src/local/store.hpp"
#include "src/store/directory.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/hash.hpp"
#include "src/system/percent.hpp"
#include "src/system/secret_file.hpp"
#include "src/system/signals.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

/// The beginning of a message about an option's value: "--NAME", or the variable or file that has
/// set it.
std::string source_of(const Options& options, std::string_view name) {
  const auto found = options.sources.find(name);
  return found == options.sources.end() ? fmt::format("--{}", name) : found->second;
}

std::string variable(const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

/// The edit distance (Levenshtein) of two texts.
size_t edits_between(std::string_view one, std::string_view other) {
  std::vector<size_t> edits(other.size() + 1);
  std::iota(edits.begin(), edits.end(), size_t{0});
  for (size_t i = 0; i < one.size(); ++i) {
    size_t diagonal = edits[0]++;
    for (size_t j = 0; j < other.size(); ++j) {
      const size_t replaced = diagonal + (one[i] == other[j] ? 0 : 1);
      diagonal = edits[j + 1];
      edits[j + 1] = std::min({replaced, edits[j] + 1, diagonal + 1});
    }
  }
  return edits.back();
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// The form of the store URL whose scheme is closest to this one, or ends with it; "" if none is
/// close.
std::string_view closest_form(std::string scheme) {
  static constexpr std::array<std::string_view, 10> forms{"local",
                                                          "file:///DIR",
                                                          "redis://HOST",
                                                          "rediss://HOST",
                                                          "redis+unix:///PATH",
                                                          "redis+sentinel://HOST/NAME",
                                                          "redis+cluster://HOST",
                                                          "valkey://HOST",
                                                          "valkeys://HOST",
                                                          "valkey+unix:///PATH"};
  constexpr size_t most = 2;
  std::string_view closest;
  size_t edits = most + 1;
  scheme = lowered(std::move(scheme));
  for (const std::string_view form : forms) {
    const std::string_view name = form.substr(0, form.find(':'));
    if (!scheme.empty() && name.substr(name.find('+') + 1) == scheme) return form;
    if (const size_t count = edits_between(scheme, name); count < edits) {
      edits = count;
      closest = form;
    }
  }
  return closest;
}

/// A Redis URL for a text such as HOST:PORT, which lacks a scheme; nothing for other texts.
std::optional<std::string> as_redis_url(const std::string& text) {
  const bool is_like_a_host = text.starts_with("localhost") || text.starts_with('[') ||
                              text.find_first_of(".:@") != std::string::npos;
  if (!is_like_a_host || text.find("//") != std::string::npos) return std::nullopt;
  std::string url = "redis://" + text;
  try {
    (void)parse_redis_url(url);
    return url;
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The message about a URL that lacks a part, such as "file:/DIR"; nothing if its scheme is
/// unknown.
std::optional<std::string> incomplete(const std::string& text) {
  const std::string scheme = lowered(text.substr(0, text.find_first_of(":@")));
  const bool is_file = scheme == "file";
  if (!is_file && !is_redis_url(scheme + "://")) return std::nullopt;
  const bool is_path = is_file || scheme.ends_with("unix");
  const std::string rest = text.substr(std::min(scheme.size() + 1, text.size()));
  const std::string site = rest.substr(std::min(rest.find_first_not_of('/'), rest.size()));
  const std::string url = scheme + (is_path ? ":///" : "://") + site;
  const bool has_at = site.find('@') != std::string::npos;
  const bool is_path_url = rest.starts_with('/') && !site.empty() && !has_at;
  const bool is_url = is_path ? is_path_url : !failure_of([&] { (void)parse_redis_url(url); });
  if (is_url)
    return fmt::format("'{}' is incomplete; write {}", escape_controls(has_at ? scheme : text),
                       shown(url));
  std::string_view form = "://HOST";
  if (is_path) form = is_file ? ":///DIR" : ":///PATH";
  if (scheme.ends_with("sentinel")) form = "://HOST/NAME";
  return fmt::format("'{0}' is incomplete; write {0}{1}", scheme, form);
}

/// The message about a text that is not a store URL. Omits the parts that may be a password.
std::string invalid_store(const std::string& text) {
  const auto quoted = [](std::string_view part) { return escape_controls(part); };
  const bool has_at = text.find('@') != std::string::npos;
  if (const auto url = as_redis_url(text.substr(text.starts_with("//") ? 2 : 0))) {
    const std::string safe = quoted(without_password(*url));
    return fmt::format("'{}' has no scheme; for a Redis server write {}",
                       std::string_view(safe).substr(safe.find("//") + 2), safe);
  }
  if (text.starts_with('/') && has_at)
    return "the URL has no scheme; for a directory write file:///DIR";
  if (text.starts_with('/'))
    return fmt::format("'{}' has no scheme; for a directory write file:///{}", quoted(text),
                       quoted(text.substr(std::min(text.find_first_not_of('/'), text.size()))));
  if (auto fault = incomplete(text)) return std::move(*fault);
  const std::string scheme = text.substr(0, text.find_first_of(":@"));
  if (const auto form = closest_form(scheme); !form.empty())
    return fmt::format("'{}' is not a known store; did you mean {}?",
                       quoted(form == "local" && !has_at ? text : scheme), form);
  return fmt::format("'{}' is not a store; write local, file:///DIR or redis://HOST",
                     quoted(scheme));
}

/// The directory that Options::store names. Throws Error(usage) if it names none.
std::string directory_of(const std::string& url, const std::string& source) {
  constexpr std::string_view scheme = "file://";
  if (url.empty() || url == "local") return default_store_directory();
  if (strncasecmp(url.c_str(), scheme.data(), scheme.size()) != 0)
    throw usage_error(source + ": " + invalid_store(url));
  auto path = percent_unescape(std::string_view(url).substr(scheme.size()));
  if (path) *path = expand_home(*path);
  if (!path || !path->starts_with('/') || path->find('\0') != std::string::npos)
    throw usage_error(fmt::format("{}: '{}' is not the URL of a directory with an absolute path",
                                  source, shown(url)));
  return std::move(*path);
}

/// A password without the newline at its end.
std::string trimmed(std::string password) {
  if (password.ends_with('\n')) {
    password.pop_back();
    if (password.ends_with('\r')) password.pop_back();
  }
  return password;
}

/// Warns if others can read the open file, which contains a secret and is named by `option`.
void warn_if_exposed(std::string_view option, const std::string& path, int file, const Log& log) {
  if (!is_exposed(file)) return;
  if (const auto name = reopenable_path(path, file))
    log.warn("{}: other users can read {}; {}", option, *name, exposure_advice(*name));
  else
    log.warn("{}: other users can read {}", option, path);
}

/// The first line of the file that `option` names. Waits if the file is a FIFO whose writer has not
/// written yet.
std::string first_line_of(std::string_view option, const std::string& file,
                          const WaitLimit& wait_limit, const Log& log) {
  const auto cannot = [&](std::string_view why) {
    return store_error(fmt::format("{}: cannot read {}: {}", option, escape_controls(file), why));
  };
  const Descriptor opened(open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!opened) throw cannot(error_text(errno));
  std::array<char, 4096> buffer{};
  std::string_view text;
  while (text.find('\n') == std::string_view::npos) {
    if (text.size() == buffer.size()) throw cannot("its first line is longer than 4095 bytes");
    // Waits before each read, because reading from a FIFO that has no writer yet would return end
    // of file.
    const WaitEnd end = await_readable(opened.get(), wait_limit.interrupt, wait_limit.until);
    if (end == WaitEnd::interrupted) throw interrupted_error();
    if (end == WaitEnd::timed_out) throw cannot("no data arrived in time");
    const size_t room = buffer.size() - text.size();
    const ssize_t got = read(opened.get(), buffer.data() + text.size(), room);
    if (got == 0) break;
    if (got < 0 && errno != EAGAIN && errno != EINTR) throw cannot(error_text(errno));
    if (got > 0) text = {buffer.data(), text.size() + static_cast<size_t>(got)};
  }
  std::string line(text.substr(0, text.find('\n')));
  if (line.ends_with('\r')) line.pop_back();
  warn_if_exposed(option, file, opened.get(), log);
  return line;
}

/// The password of a server whose URL does not contain it.
std::string password_from_elsewhere(const Options& options, const WaitLimit& wait_limit,
                                    const Log& log) {
  if (!options.password_file.empty())
    return first_line_of(source_of(options, "password-file"), options.password_file, wait_limit,
                         log);
  for (const char* name : {"MEMOLOCK_REDIS_PASSWORD", "REDISCLI_AUTH"})
    if (auto password = trimmed(variable(name)); !password.empty()) return password;
  return "";
}

std::string sentinel_password(const Options& options, const WaitLimit& wait_limit, const Log& log) {
  const std::string& file = options.sentinel_password_file;
  return file.empty()
             ? trimmed(variable("MEMOLOCK_SENTINEL_PASSWORD"))
             : first_line_of(source_of(options, "sentinel-password-file"), file, wait_limit, log);
}

StoreChoice directory_choice(const std::string& url, const std::string& source) {
  std::string path = std::filesystem::path(directory_of(url, source)).lexically_normal();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  std::string path_url = "file://";
  for (const char c : path) path_url += c == '%' ? std::string("%25") : std::string(1, c);
  return {std::move(path), std::move(path_url)};
}

/// The directory of the local store with this URL; nothing if there is none.
std::optional<std::string> local_place(const std::string& url) {
  try {
    return std::get<std::string>(directory_choice(url, "").place);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The directory of this machine's local store, whatever store is chosen.
std::optional<std::string> default_place() { return local_place(""); }

/// The directory in which the slots of a cluster are cached; "": none. A call without a command
/// does not create it.
std::string cluster_memory(const Options& options) {
  const std::string place = default_place().value_or("");
  return options.words.empty() && access(place.c_str(), F_OK) != 0 ? "" : place;
}

// The default of --max-entry.
constexpr uint64_t default_of_servers = 64ULL << 20;

StoreChoice server_choice(const Options& options, const WaitLimit& wait_limit, const Log& log) {
  check_server_combination(options);
  RedisSettings settings;
  settings.lease = options.policy.lease;
  settings.timeout = options.store_timeout;
  settings.max_entry = options.max_entry.value_or(default_of_servers);
  try {
    settings.address = parse_redis_url(options.store);
  } catch (const Error& error) {
    throw usage_error(source_of(options, "store") + ": " + error.what());
  }
  settings.address.tls = options.tls;
  settings.address.password = trimmed(std::move(settings.address.password));
  if (const std::string& key = options.tls.key; !key.empty()) {
    const Descriptor file(open(key.c_str(), O_PATH | O_CLOEXEC));
    if (file) warn_if_exposed(source_of(options, "tls-key"), key, file.get(), log);
  }
  if (settings.address.password.empty())
    settings.address.password = password_from_elsewhere(options, wait_limit, log);
  if (settings.address.has_sentinels()) {
    settings.address.sentinels.user = options.sentinel_user;
    settings.address.sentinels.password = sentinel_password(options, wait_limit, log);
  }
  const RedisAddress& address = settings.address;
  if (!address.password.empty() || !address.sentinels.password.empty() || !address.tls.key.empty())
    disable_core_dumps();
  if (settings.address.is_cluster())
    settings.address.cluster.cache_directory = cluster_memory(options);
  // The command gets the password only in the form that the caller has chosen.
  const bool inherited = variable("MEMOLOCK_STORE") == options.store;
  std::string url = inherited ? options.store : address.url();
  return {std::move(settings), std::move(url)};
}

/// A text that identifies the store, even while it is unreachable.
std::string name_of_store(const Options& options) {
  if (!is_redis_url(options.store)) return local_place(options.store).value_or("");
  return parse_redis_url(options.store).url();
}

}  // namespace

StoreChoice choose_store(const Options& options, const WaitLimit& wait_limit, const Log& log) {
  return is_redis_url(options.store) ? server_choice(options, wait_limit, log)
                                     : directory_choice(options.store, source_of(options, "store"));
}

std::optional<std::string> local_directory(const StoreChoice& choice) {
  return choice.is_local() ? std::get<std::string>(choice.place) : default_place();
}

uint64_t max_entry(const Options& options, const StoreChoice& choice) {
  constexpr uint64_t default_local = 1ULL << 30;
  return options.max_entry.value_or(choice.is_local() ? default_local : default_of_servers);
}

std::unique_ptr<Store> open_store(const StoreChoice& choice, const WaitLimit& wait_limit,
                                  const Log& log) {
  if (const auto* server = std::get_if<RedisSettings>(&choice.place))
    return std::make_unique<RedisStore>(*server, wait_limit, log);
  return std::make_unique<LocalStore>(std::get<std::string>(choice.place), SymlinkPolicy::follow,
                                      log);
}

Examination examine(const StoreChoice& choice, const std::string& tag, const Log& log) {
  const auto* const server = std::get_if<RedisSettings>(&choice.place);
  Examination examination = server != nullptr
                                ? examine_server(*server, tag, log)
                                : examine_directory(std::get<std::string>(choice.place));
  examination.findings.push_back(examine_control_files());
  return examination;
}

std::vector<Finding> repair(const StoreChoice& choice) {
  if (choice.is_local()) return repair_modes(std::get<std::string>(choice.place));
  return {{Finding::Severity::ok, "repaired", "nothing: a server has no file modes", ""}};
}

std::vector<std::string> fallback_directories() {
  std::vector<std::string> directories;
  if (const auto runtime = variable("XDG_RUNTIME_DIR"); is_private_directory(runtime))
    directories.push_back(runtime + "/memolock");
  directories.push_back(fmt::format("/tmp/memolock-{}", user_at_start()));
  return directories;
}

StoreChoice fallback_choice(const Options& options) {
  // The same name may mean different things in two stores.
  Hash hash(16);
  hash.add(name_of_store(options));
  const std::string directory = fallback_directories().front() + '/' + hash.finish();
  return {directory, "file://" + directory};
}

std::unique_ptr<Store> open_fallback(const StoreChoice& fallback, const Log& log) {
  // Any user may create a symbolic link or a directory there.
  return std::make_unique<LocalStore>(std::get<std::string>(fallback.place), SymlinkPolicy::refuse,
                                      log);
}

}  // namespace memolock
