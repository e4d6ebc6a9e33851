// The address of a Redis server, and the login for it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memolock {

/// How a TLS connection verifies the server and identifies the client; empty is unset.
struct RedisTls {
  std::string ca;  ///< path of a file of certificates or of a hashed directory; unset: the system's
  std::string cert;         ///< path of this client's certificate chain
  std::string key;          ///< path of the key for it; unset: in the same file
  std::string server_name;  ///< the name or IP address to ask for and to verify; unset: the host
};

/// Whether `text` can be a host name, and can be shown without escapes: not empty, without spaces
/// or control characters.
[[nodiscard]] bool is_printable_word(std::string_view text);

struct RedisHost {
  std::string name;  ///< or IP address
  uint16_t port = 0;

  bool operator==(const RedisHost&) const = default;
  /// "HOST:PORT", "[::1]:6379".
  [[nodiscard]] std::string shown() const;
};

/// Sentinels: servers that know which server is the primary of a service.
struct RedisSentinels {
  std::vector<RedisHost> hosts;  ///< empty: the address does not use sentinels
  std::string service_name;      ///< the name of the service, as configured in the sentinels
  std::string user, password;    ///< for the sentinels; both empty: no login
};

/// Some nodes of a cluster, each of which knows the node of each key.
struct RedisCluster {
  std::vector<RedisHost> hosts;  ///< empty: the address does not name a cluster
  std::string cache_directory;   ///< where the slots are cached; empty: they are not cached
};

inline constexpr uint16_t default_redis_port = 6379;

struct RedisAddress {
  std::string host;  ///< name or IP address; empty: a unix socket, sentinels or a cluster
  uint16_t port = default_redis_port;
  std::string path;            ///< of the unix socket
  std::string user, password;  ///< both empty: no login
  int database = 0;
  bool use_tls = false;
  RedisTls tls;
  RedisSentinels sentinels;
  RedisCluster cluster;

  [[nodiscard]] bool has_sentinels() const { return !sentinels.hosts.empty(); }
  [[nodiscard]] bool is_cluster() const { return !cluster.hosts.empty(); }
  /// Whether it names one server, so that no requests to sentinels or cluster nodes are needed.
  [[nodiscard]] bool is_direct() const { return !host.empty() || !path.empty(); }
  /// The address of one of its servers, with the same login and TLS settings.
  [[nodiscard]] RedisAddress at(const RedisHost& there) const;

  /// For messages: "HOST:PORT", "[::1]:6379", the socket's path,
  /// "NAME by HOST:PORT,HOST:PORT", or "cluster HOST:PORT,HOST:PORT".
  [[nodiscard]] std::string shown() const;
  /// Its URL without the password and without defaults. All spellings of the URL of one store give
  /// the same result.
  [[nodiscard]] std::string url() const;
};

/// "HOST:PORT,HOST:PORT".
[[nodiscard]] std::string shown_hosts(const std::vector<RedisHost>& hosts);

/// Whether `url` has one of Redis's schemes, in upper or lower case: redis, rediss, redis+unix, and
/// redis or rediss with +sentinel or +cluster; or the same with valkey in place of redis.
[[nodiscard]] bool is_redis_url(std::string_view url);

/// Reads a URL of one of these forms, percent-decoded, with an IPv6 address in brackets:
///
/// - redis://[[USER]:PASSWORD@|USER@]HOST[:PORT][/DB], or rediss://
/// - redis+unix://[USERINFO@]/PATH[?db=N]
/// - redis+sentinel://[USERINFO@]HOST[:PORT][,…]/NAME[/DB], or rediss+sentinel://
/// - redis+cluster://[USERINFO@]HOST[:PORT][,…], or rediss+cluster://
///
/// Throws Error(usage), whose message quotes no part of the URL: any part may be a misplaced
/// password.
[[nodiscard]] RedisAddress parse_redis_url(std::string_view url);

/// `url`, valid or not, without its password, even if the password contains an unescaped / or @.
/// The user name is not removed.
[[nodiscard]] std::string without_password(std::string_view url);

}  // namespace memolock
