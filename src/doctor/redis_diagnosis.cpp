#include "src/doctor/redis_diagnosis.hpp"

#include <algorithm>
#include <array>

namespace memolock {
namespace {

struct Remedy {
  std::string_view text;     ///< a part of the error
  std::string_view subject;  ///< the subject; empty for the operation that was tried
  std::string_view remedy;
};

// The first whose text occurs in the error applies.
constexpr std::array<Remedy, 42> remedies{{
    {"the sentinel at ", "sentinel", "see the findings about the sentinels above"},
    {"NOAUTH", "login",
     "set the password with --password-file or MEMOLOCK_REDIS_PASSWORD, and the user in the URL "
     "unless it is the default user"},
    {"WRONGPASS", "login", "correct the user in the URL or the password"},
    {"without any password configured", "login",
     "the server has no password: remove it here, or set one there with requirepass or ACL "
     "SETUSER"},
    {"DB index is out of range", "login", "choose an existing database at the end of the URL"},
    {"NOPERM", "login", "grant the user the ACL rule below"},
    {"max number of clients", "server",
     "raise maxclients on the server, or close connections; each waiter uses one"},
    {"certificate: expired", "tls", "renew the server's certificate"},
    {"certificate: not valid yet", "tls", "check the clock of this machine and the certificate"},
    {"for another host name", "tls",
     "use the name in the certificate, in the URL or with --tls-server-name"},
    {"for another IP address", "tls",
     "use the name in the certificate, in the URL or with --tls-server-name"},
    {"no subject alternative name", "tls",
     "create a new server certificate with subjectAltName=DNS:HOST or IP:ADDRESS"},
    {"client certificate required", "tls",
     "set a client certificate with --tls-cert and --tls-key"},
    {"may require a client certificate", "tls",
     "set a client certificate with --tls-cert and --tls-key, or see the server's log"},
    {"client certificate", "tls", "correct --tls-cert and --tls-key"},
    {"its key is too short", "tls", "create a new server certificate with a longer key"},
    {"its signature is too weak", "tls", "create a new server certificate, signed with SHA-256"},
    {"not issued for a server", "tls",
     "create a new server certificate with extendedKeyUsage=serverAuth"},
    {"no CA certificates", "tls",
     "install ca-certificates, or set the authority that signed it with --tls-ca"},
    {"certificate: ", "tls", "set the authority that signed it with --tls-ca"},
    {"cannot read certificates", "tls", "correct --tls-ca"},
    {"cannot use the ", "tls", "correct --tls-cert and --tls-key"},
    {"the library cannot be initialized", "tls", "check whether this machine is out of memory"},
    {"TLS: the server reports", "tls", "see the server's log"},
    {"TLS: ", "tls", "check that this port speaks TLS 1.2 or later; if not, write redis://"},
    {"cannot resolve", "server", "correct the host in the URL, or check the DNS"},
    {"connection refused", "server",
     "start the server, or correct the host and the port in the URL"},
    {"no such file or directory", "server", "start the server, or correct the path in the URL"},
    {"no answer within", "server",
     "check whether the server is stopped, overloaded or behind a firewall, or raise "
     "--store-timeout"},
    {"closed the connection", "server",
     "see the server's log; for a port that speaks TLS, write rediss://"},
    {"does not speak the Redis protocol", "server", "correct host and port in the URL"},
    {"LOADING", "", "wait until the server has loaded its data, then try again"},
    {"READONLY", "", "connect to the primary: this server is a replica"},
    {"MASTERDOWN", "",
     "connect to the primary: this server is a replica that has lost its connection to it"},
    {"OOM ", "", "free memory on the server or raise maxmemory: nothing can be stored"},
    {"MISCONF", "", "check the disk of the server: it refuses writes until it can save its data"},
    {"NOREPLICAS", "", "check the replicas of the server: it refuses writes without them"},
    {"CLUSTERDOWN", "", "check the nodes of the cluster: some slots are not served"},
    {"BUSY ", "", "wait for the script that is running on the server, or end it with SCRIPT KILL"},
    {"CROSSSLOT", "",
     "write redis+cluster:// or rediss+cluster://: the server is part of a cluster"},
    {"MOVED ", "", "write redis+cluster:// or rediss+cluster://: the server is part of a cluster"},
    {"cluster support disabled", "",
     "write redis:// or rediss://: the server is not part of a cluster"},
}};

}  // namespace

std::optional<Finding> diagnose_known_error(std::string_view error, std::string_view subject) {
  const auto* const found = std::find_if(remedies.begin(), remedies.end(), [&](const Remedy& it) {
    return error.find(it.text) != std::string_view::npos;
  });
  if (found == remedies.end()) return std::nullopt;
  return Finding{Finding::Severity::fail,
                 std::string(found->subject.empty() ? subject : found->subject), std::string(error),
                 std::string(found->remedy)};
}

Finding diagnose_error(std::string_view error, std::string_view subject) {
  if (auto known = diagnose_known_error(error, subject)) return std::move(*known);
  return {Finding::Severity::fail, std::string(subject), std::string(error),
          "see the log and the documentation of the server"};
}

}  // namespace memolock
