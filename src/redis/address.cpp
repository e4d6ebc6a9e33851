#include "src/redis/address.hpp"

#include <sys/un.h>

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "src/system/error.hpp"
#include "src/system/percent.hpp"
#include "src/system/text.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

enum class Transport { tcp, unix_socket, sentinels, cluster };

struct Scheme {
  std::string_view name;
  Transport transport;
  bool use_tls;
};

constexpr std::array<Scheme, 7> schemes{{{"redis", Transport::tcp, false},
                                         {"rediss", Transport::tcp, true},
                                         {"redis+unix", Transport::unix_socket, false},
                                         {"redis+sentinel", Transport::sentinels, false},
                                         {"rediss+sentinel", Transport::sentinels, true},
                                         {"redis+cluster", Transport::cluster, false},
                                         {"rediss+cluster", Transport::cluster, true}}};

constexpr std::string_view scheme_end = "://";
constexpr uint16_t sentinels_port = 26379;

/// Converts only ASCII letters, whatever the locale.
std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

/// The schemes of Valkey are synonyms of those of Redis.
const Scheme* scheme_of(std::string_view url) {
  const size_t end = url.find(scheme_end);
  if (end == std::string_view::npos) return nullptr;
  std::string name = in_lower_case(url.substr(0, end));
  constexpr std::string_view valkey = "valkey";
  if (name.starts_with(valkey)) name.replace(0, valkey.size(), "redis");
  const auto* const found = std::find_if(schemes.begin(), schemes.end(),
                                         [&](const Scheme& scheme) { return scheme.name == name; });
  return found == schemes.end() ? nullptr : found;
}

[[noreturn]] void refuse(const char* what) {
  throw usage_error(fmt::format("the store's URL {}", what));
}

std::string decoded(std::string_view text) {
  auto plain = percent_unescape(text);
  if (!plain) refuse("has a % without two hexadecimal digits after it");
  return *std::move(plain);
}

int database(std::string_view text) {
  const auto value = parse_number(text, 0, INT32_MAX);
  if (!value) refuse("has a database that is not a number");
  return *value;
}

/// The three parts of a URL: SCHEME://[USERINFO@]SITE[REST], the rest with its leading / or ?.
struct Parts {
  std::optional<std::string_view> userinfo;
  std::string_view site, rest;
};

Parts split(std::string_view url) {
  url.remove_prefix(url.find(scheme_end) + scheme_end.size());
  const size_t site_end = std::min(url.find_first_of("/?#"), url.size());
  Parts parts{{}, url.substr(0, site_end), url.substr(site_end)};
  const size_t at = parts.site.rfind('@');
  if (at != std::string_view::npos) {
    parts.userinfo = parts.site.substr(0, at);
    parts.site.remove_prefix(at + 1);
  }
  return parts;
}

void read_userinfo(std::string_view userinfo, RedisAddress& into) {
  const size_t colon = std::min(userinfo.find(':'), userinfo.size());
  into.user = decoded(userinfo.substr(0, colon));
  if (colon < userinfo.size()) into.password = decoded(userinfo.substr(colon + 1));
}

/// Reads HOST[:PORT].
void read_host(std::string_view site, std::string& name, uint16_t& its_port) {
  size_t host_end = std::min(site.find(':'), site.size());
  if (site.starts_with('[')) {
    host_end = site.find(']') + 1;
    if (host_end == 0) refuse("has a [ without its ]");
    name = decoded(site.substr(1, host_end - 2));
  } else {
    if (site.find(':') != site.rfind(':')) refuse("has an IPv6 address without [ and ]");
    name = decoded(site.substr(0, host_end));
  }
  if (name.empty()) refuse("has no host");
  if (!is_printable_word(name)) refuse("has a host that is not a valid name");

  site.remove_prefix(host_end);
  if (site.empty()) return;
  const auto port = parse_number(site.substr(1), 1, UINT16_MAX);
  if (site[0] != ':' || !port) refuse("has a port that is not a number from 1 to 65535");
  its_port = static_cast<uint16_t>(*port);
}

void refuse_late_at(const Parts& parts) {
  if (parts.rest.find('@') != std::string_view::npos)
    refuse("has a /, ? or # before its @; write %2F, %3F or %23");
}

/// Reads the part after the host: empty, or /DB.
void read_database(std::string_view rest, RedisAddress& into) {
  if (rest.empty() || rest == "/") return;
  if (rest[0] != '/') refuse("has a query or a fragment, which is not supported");
  if (rest.ends_with('/')) rest.remove_suffix(1);
  into.database = database(rest.substr(1));
}

void read_tcp(const Parts& parts, RedisAddress& into) {
  refuse_late_at(parts);
  read_host(parts.site, into.host, into.port);
  read_database(parts.rest, into);
}

/// Reads HOST[:PORT][,…].
std::vector<RedisHost> read_hosts(std::string_view left, uint16_t default_port) {
  std::vector<RedisHost> hosts;
  for (;;) {
    const size_t comma = std::min(left.find(','), left.size());
    auto& host = hosts.emplace_back();
    host.port = default_port;
    read_host(left.substr(0, comma), host.name, host.port);
    if (comma == left.size()) return hosts;
    left.remove_prefix(comma + 1);
  }
}

/// Reads HOST[:PORT][,…]/NAME[/DB].
void read_sentinels(const Parts& parts, RedisAddress& into) {
  refuse_late_at(parts);
  RedisSentinels& sentinels = into.sentinels;
  sentinels.hosts = read_hosts(parts.site, sentinels_port);
  if (!parts.rest.starts_with('/'))
    refuse("does not name a primary; write redis+sentinel://HOSTS/NAME");
  const std::string_view path = parts.rest.substr(1);
  const size_t name_end = std::min(path.find_first_of("/?#"), path.size());
  sentinels.service_name = decoded(path.substr(0, name_end));
  if (!is_printable_word(sentinels.service_name))
    refuse("does not name a primary; write redis+sentinel://HOSTS/NAME");
  read_database(path.substr(name_end), into);
}

void read_cluster(const Parts& parts, RedisAddress& into) {
  refuse_late_at(parts);
  into.cluster.hosts = read_hosts(parts.site, into.port);
  read_database(parts.rest, into);
  if (into.database != 0) refuse("names a database, but a cluster has only one");
}

void read_unix(const Parts& parts, RedisAddress& into) {
  if (!parts.site.empty() || !parts.rest.starts_with('/'))
    refuse("does not name a socket; write redis+unix:///PATH");
  const size_t question = std::min(parts.rest.find('?'), parts.rest.size());
  into.path = decoded(parts.rest.substr(0, question));
  if (into.path.size() >= sizeof(sockaddr_un::sun_path))
    refuse("has a socket path that is too long");
  if (into.path.find('\0') != std::string::npos) refuse("has a NUL in its path");
  if (question == parts.rest.size()) return;
  constexpr std::string_view key = "?db=";
  if (!parts.rest.substr(question).starts_with(key)) refuse("has a query other than ?db=N");
  into.database = database(parts.rest.substr(question + key.size()));
}

/// `text`, escaped for a URL. The characters in `plain` are not escaped.
std::string in_url(std::string_view text, std::string_view plain) {
  std::string escaped;
  for (const char c : text)
    escaped += plain.find(c) != std::string_view::npos ? std::string(1, c)
               : c == '@'                              ? "%40"
                                                       : percent_escape({&c, 1});
  return escaped;
}

std::string in_url(const RedisHost& host, uint16_t default_port) {
  const bool has_colon = host.name.find(':') != std::string::npos;
  // The zone of an IPv6 address is the name of an interface, which is case-sensitive.
  const size_t zone = std::min(host.name.find('%'), host.name.size());
  std::string text = in_url(in_lower_case(host.name.substr(0, zone)) + host.name.substr(zone), ":");
  if (has_colon) text = '[' + text + ']';
  return host.port == default_port ? text : fmt::format("{}:{}", text, host.port);
}

std::string in_url(const std::vector<RedisHost>& hosts, uint16_t default_port) {
  std::string text;
  for (const RedisHost& host : hosts)
    text += (text.empty() ? "" : ",") + in_url(host, default_port);
  return text;
}

}  // namespace

bool is_printable_word(std::string_view text) {
  return !text.empty() && text.find(' ') == std::string_view::npos && escape_controls(text) == text;
}

std::string RedisHost::shown() const {
  if (name.find(':') != std::string::npos) return fmt::format("[{}]:{}", name, port);
  return fmt::format("{}:{}", name, port);
}

std::string shown_hosts(const std::vector<RedisHost>& hosts) {
  std::string text;
  for (const RedisHost& host : hosts) text += (text.empty() ? "" : ",") + host.shown();
  return text;
}

RedisAddress RedisAddress::at(const RedisHost& there) const {
  RedisAddress address = *this;
  address.host = there.name;
  address.port = there.port;
  return address;
}

std::string RedisAddress::shown() const {
  if (!host.empty()) return RedisHost{host, port}.shown();
  if (is_cluster()) return "cluster " + shown_hosts(cluster.hosts);
  if (!has_sentinels()) return escape_controls(path);
  return sentinels.service_name + " by " + shown_hosts(sentinels.hosts);
}

std::string RedisAddress::url() const {
  std::string text = use_tls ? "rediss" : "redis";
  text += is_cluster() ? "+cluster" : has_sentinels() ? "+sentinel" : host.empty() ? "+unix" : "";
  text += scheme_end;
  // A login without a user name is a login as "default".
  if (!user.empty() && user != "default") text += in_url(user, "") + '@';
  if (is_cluster()) return text + in_url(cluster.hosts, default_redis_port);
  if (has_sentinels()) {
    text += in_url(sentinels.hosts, sentinels_port) + '/' + in_url(sentinels.service_name, "");
  } else if (host.empty()) {
    text += in_url(path, "/");
    return database == 0 ? text : fmt::format("{}?db={}", text, database);
  } else {
    text += in_url(RedisHost{host, port}, default_redis_port);
  }
  return database == 0 ? text : fmt::format("{}/{}", text, database);
}

bool is_redis_url(std::string_view url) { return scheme_of(url) != nullptr; }

RedisAddress parse_redis_url(std::string_view url) {
  const Scheme* const scheme = scheme_of(url);
  if (scheme == nullptr)
    refuse("is not one of redis://, rediss://, redis+unix://, redis+sentinel://, redis+cluster://");
  const Parts parts = split(url);
  RedisAddress address;
  if (parts.userinfo) read_userinfo(*parts.userinfo, address);
  address.use_tls = scheme->use_tls;
  switch (scheme->transport) {
    case Transport::tcp:
      read_tcp(parts, address);
      break;
    case Transport::unix_socket:
      read_unix(parts, address);
      break;
    case Transport::sentinels:
      read_sentinels(parts, address);
      break;
    case Transport::cluster:
      read_cluster(parts, address);
      break;
  }
  return address;
}

std::string without_password(std::string_view url) {
  const size_t end = url.find(scheme_end);
  if (end == std::string_view::npos) return std::string(url);
  const std::string_view scheme = url.substr(0, end + scheme_end.size());
  std::string_view rest = url.substr(scheme.size());
  // A path may contain an @. Otherwise an @ after a / means that the password contains an unescaped
  // /. Other code refuses such a URL, but this function must not return a part of the password.
  const std::string_view site = rest.substr(0, rest.find_first_of("/?#"));
  if (site.empty()) return std::string(url);
  const size_t at = site.ends_with('@') ? site.size() - 1 : rest.rfind('@');
  if (at == std::string_view::npos) return std::string(url);
  const std::string_view user = rest.substr(0, std::min(rest.find(':'), at));
  rest.remove_prefix(user.empty() ? at + 1 : at);
  return fmt::format("{}{}{}", scheme, user, rest);
}

}  // namespace memolock
