#include "src/redis/host_name.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ares.h>

#include "src/system/error.hpp"

namespace memolock {
namespace {

template <typename Address>
SocketAddress socket_address(const Address& address) {
  SocketAddress made;
  std::memcpy(&made.bytes, &address, sizeof(address));
  made.size = sizeof(address);
  return made;
}

// How long a name server may be silent before the next one is also asked; doubled in each further
// round.
constexpr Nanoseconds longest_head_start = std::chrono::milliseconds(300);
constexpr Nanoseconds shortest_head_start = std::chrono::milliseconds(50);
constexpr size_t rounds = 4;
// The number of rounds if each query fails immediately. More than one, because a machine rejects
// only a limited number of packets per second, and silently drops the rest.
constexpr size_t rounds_of_failures = 2;
// How long IPv4 addresses wait for IPv6 ones (RFC 8305, 3).
constexpr Nanoseconds resolution_delay = std::chrono::milliseconds(50);

enum class Source { hosts_file, name_servers };

/// A channel of c-ares, whose sockets the caller polls. Sends each query once.
class Channel {
 public:
  /// `watched`: the list of sockets to poll, which the channel updates.
  Channel(std::vector<pollfd>& watched, Nanoseconds limit, Source source);

  [[nodiscard]] ares_channel get() const { return channel_.get(); }
  [[nodiscard]] std::vector<std::string> servers() const;
  void use_server(const std::string& server);

 private:
  struct Destroy {
    void operator()(ares_channel channel) const { ares_destroy(channel); }
  };
  std::unique_ptr<std::remove_pointer_t<ares_channel>, Destroy> channel_;
};

void watch(void* list, ares_socket_t fd, int readable, int writable) {
  auto& watched = *static_cast<std::vector<pollfd>*>(list);
  std::erase_if(watched, [&](const pollfd& one) { return one.fd == fd; });
  const int events = (readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0);
  if (events != 0)
    watched.push_back({.fd = fd, .events = static_cast<short>(events), .revents = 0});
}

Channel::Channel(std::vector<pollfd>& watched, Nanoseconds limit, Source source) {
  ares_options options{};
  options.sock_state_cb = watch;
  options.sock_state_cb_data = &watched;
  // DnsLookup repeats queries itself, so that answers to earlier ones may still arrive.
  options.tries = 1;
  const Nanoseconds longest = std::clamp<Nanoseconds>(limit, longest_head_start,
                                                      std::chrono::hours(1));
  options.timeout = static_cast<int>(
      std::chrono::duration_cast<std::chrono::milliseconds>(longest).count());
  int given = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS;
  std::string lookups = source == Source::hosts_file ? "f" : "b";
  options.lookups = lookups.data();
  if (source == Source::hosts_file) {
    // c-ares 1.18 reads /etc/resolv.conf for each option that is not given here.
    options.ndots = 1;
    given |= ARES_OPT_NDOTS | ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST;
  }
  ares_channel channel = nullptr;
  if (ares_init_options(&channel, &options, given) != ARES_SUCCESS)
    throw store_error("cannot resolve names");
  channel_.reset(channel);
}

std::vector<std::string> Channel::servers() const {
  std::vector<std::string> servers;
#if ARES_VERSION >= 0x011800
  char* const list = ares_get_servers_csv(get());
  std::string_view left = list != nullptr ? list : "";
  while (!left.empty()) {
    const size_t comma = std::min(left.find(','), left.size());
    servers.emplace_back(left.substr(0, comma));
    left.remove_prefix(std::min(comma + 1, left.size()));
  }
  ares_free_string(list);
#else
  ares_addr_port_node* list = nullptr;
  if (ares_get_servers_ports(get(), &list) != ARES_SUCCESS) return servers;
  for (const auto* node = list; node != nullptr; node = node->next) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    servers.emplace_back(inet_ntop(node->family, &node->addr, text.data(), text.size()));
  }
  ares_free_data(list);
#endif
  return servers;
}

void Channel::use_server(const std::string& server) {
  if (ares_set_servers_ports_csv(get(), server.c_str()) != ARES_SUCCESS)
    throw store_error("cannot resolve names");
}

void ask(const Channel& channel, const std::string& host, int family, ares_addrinfo_callback answer,
         void* self) {
  ares_addrinfo_hints hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  // With the flag but without the variable, c-ares 1.34 reads no file at all.
  if (getenv("CARES_HOSTS") != nullptr) hints.ai_flags = ARES_AI_ENVHOSTS;
  // No service is given: the C library would look it up.
  ares_getaddrinfo(channel.get(), host.c_str(), nullptr, &hints, answer, self);
}

void add_addresses(ares_addrinfo* found, std::deque<SocketAddress>& into) {
  for (const auto* node = found->nodes; node != nullptr; node = node->ai_next) {
    SocketAddress address;
    address.size = std::min<socklen_t>(node->ai_addrlen, sizeof(address.bytes));
    std::memcpy(&address.bytes, node->ai_addr, address.size);
    into.push_back(address);
  }
  ares_freeaddrinfo(found);
}

void take_hosts_file_answer(void* into, int status, int /*timeouts*/, ares_addrinfo* found) {
  if (status == ARES_SUCCESS) add_addresses(found, *static_cast<std::deque<SocketAddress>*>(into));
}

/// The addresses of both families in /etc/hosts. A name that is there is not looked up in the DNS.
std::deque<SocketAddress> addresses_in_hosts_file(const std::string& host, Nanoseconds limit) {
  std::deque<SocketAddress> found;
  std::vector<pollfd> none;
  const Channel channel(none, limit, Source::hosts_file);
  ask(channel, host, AF_UNSPEC, take_hosts_file_answer, &found);
  return found;
}

}  // namespace

/// The look-up of one name in the DNS. Each attempt sends all queries, search domains included, to
/// one name server. The next attempt asks the next server, while the earlier ones may still answer.
class DnsLookup {
 public:
  DnsLookup(std::string host, Nanoseconds limit);

  [[nodiscard]] bool has_next() const { return is_ready(ipv6_) || is_ready(ipv4_); }
  SocketAddress next();
  [[nodiscard]] bool is_complete() const;
  [[nodiscard]] const std::vector<pollfd>& poll_descriptors() const { return watched_; }
  [[nodiscard]] Nanoseconds poll_timeout() const;
  void process(std::span<const pollfd> polled);

 private:
  /// The IPv4 or the IPv6 addresses.
  struct Family {
    int number;
    size_t unanswered = 0;  // queries
    bool is_done = false;
    bool has_no_name = false;  // the name does not exist at all
    std::deque<SocketAddress> found{};
    Nanoseconds answered_at = forever;
  };

  static void answer(void* self, int status, int timeouts, ares_addrinfo* found);
  [[nodiscard]] bool is_ready(const Family& family) const;
  [[nodiscard]] bool has_delay_passed(const Family& family) const;
  [[nodiscard]] bool is_answered() const;
  [[nodiscard]] bool is_overdue() const;
  Channel& add_channel();
  void ask_others();
  void ask_next();

  std::string host_;
  Nanoseconds limit_;
  Nanoseconds head_start_;
  std::vector<std::string> servers_;
  // When process() was last called. All decisions are based on this time, so that they change only
  // when poll_timeout() predicts.
  Nanoseconds now_;
  size_t attempts_ = 0;
  Nanoseconds next_attempt_{0};
  Family ipv6_{.number = AF_INET6}, ipv4_{.number = AF_INET};
  const Family* last_ = nullptr;  // the family of the address that next() returned last
  std::vector<pollfd> watched_;
  // Must be the last member: its destructor calls answer(), which uses the other members.
  std::deque<Channel> channels_;
};

DnsLookup::DnsLookup(std::string host, Nanoseconds limit)
    : host_(std::move(host)),
      limit_(limit),
      head_start_(std::clamp(limit / 4, shortest_head_start, longest_head_start)),
      now_(boot_now()) {
  servers_ = add_channel().servers();
  ask_others();
}

void DnsLookup::answer(void* self, int status, int /*timeouts*/, ares_addrinfo* found) {
  auto& family = *static_cast<Family*>(self);
  --family.unanswered;
  if (family.is_done) return ares_freeaddrinfo(found);
  if (status == ARES_SUCCESS) add_addresses(found, family.found);
  // Anything else is an error of the server or the network.
  if (status != ARES_SUCCESS && status != ARES_ENOTFOUND && status != ARES_ENODATA) return;
  family.is_done = true;
  family.has_no_name = status == ARES_ENOTFOUND;
  family.answered_at = boot_now();
}

/// Asks the next server if the last one has been silent for too long, or all queries for one kind
/// of address have failed.
void DnsLookup::ask_others() {
  const auto lacks = [&](const Family& family) {
    if (family.is_done) return false;
    if (family.unanswered == 0) return attempts_ < rounds_of_failures * servers_.size();
    return attempts_ < rounds * servers_.size() && now_ >= next_attempt_;
  };
  while (lacks(ipv6_) || lacks(ipv4_)) ask_next();
  for (Family* const family : {&ipv6_, &ipv4_})
    if (family->unanswered == 0) family->is_done = true;
}

Channel& DnsLookup::add_channel() {
  return channels_.emplace_back(watched_, limit_, Source::name_servers);
}

void DnsLookup::ask_next() {
  Channel& channel = attempts_ == 0 ? channels_.front() : add_channel();
  if (servers_.size() > 1) channel.use_server(servers_[attempts_ % servers_.size()]);
  next_attempt_ = after(boot_now(), head_start_ * (1U << (attempts_ / servers_.size())));
  ++attempts_;
  for (Family* const family : {&ipv4_, &ipv6_}) {
    if (family->is_done) continue;
    const size_t before = family->unanswered++;
    ask(channel, host_, family->number, answer, family);
    // A query fails immediately if the socket has an error. The socket reports that only once, so
    // an earlier query on the same socket would never end.
    if (family->unanswered == before && !family->is_done) return ares_cancel(channel.get());
  }
}

/// Whether the addresses of the other family have had enough time to arrive since this family was
/// complete.
bool DnsLookup::has_delay_passed(const Family& family) const {
  return family.is_done && now_ >= after(family.answered_at, resolution_delay);
}

bool DnsLookup::is_ready(const Family& family) const {
  if (family.found.empty()) return false;
  return &family == &ipv6_ || ipv6_.is_done || has_delay_passed(family);
}

/// A server may answer an IPv6 query with "no such name" although the name has IPv4 addresses, but
/// not the other way round.
bool DnsLookup::is_answered() const {
  return ipv4_.is_done && (ipv6_.is_done || (ipv4_.has_no_name && has_delay_passed(ipv4_)));
}

/// Whether next() has returned addresses of one family, and no address of the other family has
/// arrived although every name server has had time to reply.
bool DnsLookup::is_overdue() const {
  return last_ != nullptr && attempts_ > servers_.size() &&
         now_ >= after(last_->answered_at, head_start_);
}

bool DnsLookup::is_complete() const { return is_answered() || is_overdue(); }

SocketAddress DnsLookup::next() {
  Family& family = is_ready(ipv6_) && (last_ != &ipv6_ || !is_ready(ipv4_)) ? ipv6_ : ipv4_;
  last_ = &family;
  const SocketAddress address = family.found.front();
  family.found.pop_front();
  return address;
}

Nanoseconds DnsLookup::poll_timeout() const {
  if (is_answered()) return forever;
  Nanoseconds moment = forever;
  const auto wake_at = [&](Nanoseconds next) {
    if (next > now_) moment = std::min(moment, next);
  };
  if (attempts_ < rounds * servers_.size()) wake_at(next_attempt_);
  wake_at(after(ipv4_.answered_at, resolution_delay));
  if (last_ != nullptr) wake_at(after(last_->answered_at, head_start_));
  return moment == forever ? forever : std::max(moment - boot_now(), Nanoseconds(0));
}

void DnsLookup::process(std::span<const pollfd> polled) {
  now_ = boot_now();
  for (const pollfd& one : polled) {
    const auto fd_if = [&](int events) {
      return (one.revents & events) != 0 ? one.fd : ARES_SOCKET_BAD;
    };
    if (one.revents == 0) continue;
    for (const Channel& channel : channels_)
      ares_process_fd(channel.get(), fd_if(POLLIN | POLLERR | POLLHUP), fd_if(POLLOUT));
  }
  ask_others();
}

namespace {

/// Writes a port into an address of either family.
void set_port(SocketAddress& address, uint16_t port) {
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  const in_port_t wire = htons(port);
  auto* const bytes = reinterpret_cast<char*>(&address.bytes);
  std::memcpy(bytes + offsetof(sockaddr_in, sin_port), &wire, sizeof(wire));
}

/// Reads "1.2.3.4", "::1" or "fe80::1%eth0"; nothing for anything else.
std::optional<SocketAddress> ip_address(const std::string& host) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) return socket_address(v4);

  const size_t zone = host.find('%');
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  if (zone != std::string::npos) v6.sin6_scope_id = if_nametoindex(&host[zone + 1]);
  if (inet_pton(AF_INET6, host.substr(0, zone).c_str(), &v6.sin6_addr) == 1)
    return socket_address(v6);
  return std::nullopt;
}

/// The loopback addresses, independent of /etc/hosts and name servers (RFC 6761), in the order that
/// Redis's own clients use.
std::deque<SocketAddress> loopback() { return {*ip_address("127.0.0.1"), *ip_address("::1")}; }

}  // namespace

bool is_ip_address(const std::string& host) { return ip_address(host).has_value(); }

HostAddresses::HostAddresses(const std::string& host, uint16_t port, Nanoseconds limit)
    : port_(port) {
  if (const auto address = ip_address(host)) {
    known_ = {*address};
    return;
  }
  if (strcasecmp(host.c_str(), "localhost") == 0) {
    known_ = loopback();
    return;
  }
  known_ = addresses_in_hosts_file(host, limit);
  if (known_.empty()) lookup_ = std::make_unique<DnsLookup>(host, limit);
}

HostAddresses::~HostAddresses() = default;

bool HostAddresses::has_next() const { return !known_.empty() || (lookup_ && lookup_->has_next()); }

SocketAddress HostAddresses::next() {
  SocketAddress address;
  if (known_.empty()) {
    address = lookup_->next();
  } else {
    address = known_.front();
    known_.pop_front();
  }
  set_port(address, port_);
  return address;
}

bool HostAddresses::is_complete() const { return !lookup_ || lookup_->is_complete(); }

std::vector<pollfd> HostAddresses::poll_descriptors() const {
  return lookup_ ? lookup_->poll_descriptors() : std::vector<pollfd>();
}

Nanoseconds HostAddresses::poll_timeout() const {
  return lookup_ ? lookup_->poll_timeout() : forever;
}

void HostAddresses::process(std::span<const pollfd> polled) {
  if (lookup_) lookup_->process(polled);
}

}  // namespace memolock
