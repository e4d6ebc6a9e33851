#include "src/doctor/redis_diagnosis.hpp"

#include <algorithm>
#include <array>

namespace memolock {
namespace {

struct Remedy {
  std::string_view text;     ///< a part of the error
  std::string_view subject;  ///< what it is about; empty: what was tried
  std::string_view remedy;
};

// The first whose text occurs in the error applies.
constexpr std::array<Remedy, 34> remedies{{
    {"the sentinel at ", "sentinel", "see to the sentinels, of which more is said above"},
    {"NOAUTH", "login",
     "give the password with --password-file or MEMOLOCK_REDIS_PASSWORD, and a user in the URL if "
     "it is not the default one's"},
    {"WRONGPASS", "login", "correct the user in the URL or the password"},
    {"without any password configured", "login",
     "the server wants no password: give none, or set one there with requirepass or ACL SETUSER"},
    {"DB index is out of range", "login", "name a database that the server has at the URL's end"},
    {"NOPERM", "login", "allow the user what the ACL rule below says"},
    {"max number of clients", "server",
     "raise maxclients there, or close connections; each waiter has one"},
    {"certificate has expired", "tls", "renew the server's certificate"},
    {"certificate is not yet valid", "tls", "see to this machine's clock, or the certificate"},
    {"hostname mismatch", "tls",
     "name the host as its certificate does, in the URL or with --tls-server-name"},
    {"IP address mismatch", "tls",
     "name the host as its certificate does, in the URL or with --tls-server-name"},
    {"no subject alternative name", "tls",
     "have the server's certificate made anew with subjectAltName=DNS:HOST or IP:ADDRESS"},
    {"certificate required", "tls", "show a certificate with --tls-cert and --tls-key"},
    {"certificate: ", "tls", "name the authority that signed it with --tls-ca"},
    {"cannot read certificates", "tls", "correct --tls-ca"},
    {"cannot use the ", "tls", "correct --tls-cert and --tls-key"},
    {"TLS: ", "tls", "see whether this port speaks TLS 1.2 or later; if not, write redis://"},
    {"cannot resolve", "server", "correct the host in the URL, or see to the DNS"},
    {"connection refused", "server", "start the server, or correct host and port in the URL"},
    {"no such file or directory", "server", "start the server, or correct the path in the URL"},
    {"no answer within", "server",
     "see whether the server is stopped, overloaded or cut off by a firewall, or give it more "
     "--store-timeout"},
    {"closed the connection", "server",
     "see the server's log; for a port that speaks TLS write "
     "rediss://"},
    {"does not speak Redis", "server", "correct host and port in the URL"},
    {"LOADING", "", "wait until the server has read its data, and ask again"},
    {"READONLY", "", "name the primary: this is a replica of it"},
    {"MASTERDOWN", "", "name the primary: this is a replica that has lost it"},
    {"OOM ", "", "free memory there or raise maxmemory: nothing can be stored"},
    {"MISCONF", "",
     "see to the server's disk, where it cannot save its data: until then it takes no writes"},
    {"NOREPLICAS", "", "see to the server's replicas: without them it takes no writes"},
    {"CLUSTERDOWN", "", "see to the cluster, parts of which are down"},
    {"BUSY ", "", "wait for the script that keeps the server busy, or run SCRIPT KILL there"},
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
          "see the server's log and its documentation"};
}

}  // namespace memolock
