// Where a Redis server is and how one logs in there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memolock {

/// What a TLS connection is verified by and shows of itself; empty is unset.
struct RedisTls {
  std::string ca;    ///< path of a file of certificates or of a hashed directory; unset: the system's
  std::string cert;  ///< path of this client's certificate chain
  std::string key;   ///< path of its key; unset: in the same file
  std::string server_name;  ///< the name or IP address to ask for and to verify; unset: the host
};

/// Whether a text is fit to be a host's name and to be shown: not empty, without blanks, and with
/// nothing that would have to be escaped.
[[nodiscard]] bool is_printable_word(std::string_view text);

struct RedisHost {
  std::string name;  ///< or IP address
  uint16_t port = 0;

  bool operator==(const RedisHost&) const = default;
  /// "HOST:PORT", "[::1]:6379".
  [[nodiscard]] std::string shown() const;
};

/// The servers that know which server is the primary of a service.
struct RedisSentinels {
  std::vector<RedisHost> hosts;  ///< empty: there are none, the address is the server's own
  std::string service_name;      ///< the name by which they know the service
  std::string user, password;    ///< at the sentinels; both empty: no login
};

/// Some of the nodes of a cluster, each of which knows which one has which keys.
struct RedisCluster {
  std::vector<RedisHost> hosts;  ///< empty: the address is no cluster's
  std::string memory;  ///< the directory that remembers what they said; empty: nothing does
};

inline constexpr uint16_t default_redis_port = 6379;

struct RedisAddress {
  std::string host;  ///< name or IP address; empty: a unix socket, or what the others below say
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
  /// Whether it names one server, and no more has to be asked for.
  [[nodiscard]] bool is_direct() const { return !host.empty() || !path.empty(); }
  /// The one of its servers that is there, with all else as it is.
  [[nodiscard]] RedisAddress at(const RedisHost& there) const;

  /// Fit for messages and for people: "HOST:PORT", "[::1]:6379", the socket's path,
  /// "NAME by HOST:PORT,HOST:PORT", or "cluster HOST:PORT,HOST:PORT".
  [[nodiscard]] std::string shown() const;
  /// Its URL without the password and without what goes without saying: the same for all URLs of
  /// one store, however they are spelled.
  [[nodiscard]] std::string url() const;
};

/// "HOST:PORT,HOST:PORT".
[[nodiscard]] std::string shown_hosts(const std::vector<RedisHost>& hosts);

/// Whether `url` has one of Redis's schemes: redis, rediss, redis+unix, and redis or rediss with
/// +sentinel or +cluster; or the same with valkey in the place of redis. In any case of letters.
[[nodiscard]] bool is_redis_url(std::string_view url);

/// Reads redis://[[USER]:PASSWORD@|USER@]HOST[:PORT][/DB], rediss:// likewise, and
/// redis+unix://[USERINFO@]/PATH[?db=N], and redis+sentinel://[USERINFO@]HOST[:PORT][,…]/NAME[/DB],
/// rediss+sentinel:// likewise, and redis+cluster://[USERINFO@]HOST[:PORT][,…], rediss+cluster://
/// likewise; percent-decoded, an IPv6 address in brackets. Throws Error(usage), which says what is
/// wrong but quotes nothing: any part may be a misplaced password.
[[nodiscard]] RedisAddress parse_redis_url(std::string_view url);

/// Any URL without its password, also where that has an unescaped / or @; the user stays.
[[nodiscard]] std::string without_password(std::string_view url);

}  // namespace memolock
