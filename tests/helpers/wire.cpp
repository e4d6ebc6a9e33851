// wire DEVICE DEVICE: simulates a poor network cable.
//
// Makes both network devices. A frame that one of them sends arrives at the other later, or never.
// Each line of stdin sets this from then on: "DELAY LOSS DELAY LOSS", the delay in milliseconds and
// the loss in percent of frames from the first device to the second, and of frames back. At first
// there is no delay or loss. The devices exist until stdin ends.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <string_view>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t largest_frame = 65536;

[[noreturn]] void give_up(const char* what) {
  perror(what);
  exit(1);
}

int open_device(const char* name) {
  const int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device < 0) give_up("/dev/net/tun");
  ifreq request{};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (ioctl(device, TUNSETIFF, &request) != 0) give_up(name);
  return device;
}

/// One direction of the cable.
struct Lane {
  struct Frame {
    Clock::time_point due;
    std::string bytes;
  };

  int from;
  int to;
  milliseconds delay{0};
  int loss = 0;  ///< percent
  std::deque<Frame> frames{};

  void take_in(std::mt19937& chance) {
    std::array<char, largest_frame> buffer;
    ssize_t size = 0;
    while ((size = read(from, buffer.data(), buffer.size())) > 0) {
      if (std::uniform_int_distribution(0, 99)(chance) < loss) continue;
      frames.push_back(
          {Clock::now() + delay, std::string(buffer.data(), static_cast<size_t>(size))});
    }
  }

  /// Writes a frame to the device. One that is down or full drops the frame, like any device.
  void release_stdout() {
    for (; !frames.empty() && frames.front().due <= Clock::now(); frames.pop_front())
      (void)!write(to, frames.front().bytes.data(), frames.front().bytes.size());
  }
};

/// The time until a frame is due; -1 if there is none.
int until_next_frame(const std::array<Lane, 2>& lanes) {
  int shortest = -1;
  for (const Lane& lane : lanes) {
    if (lane.frames.empty()) continue;
    const auto left = std::chrono::ceil<milliseconds>(lane.frames.front().due - Clock::now());
    const int its = std::max(0, static_cast<int>(left.count()));
    if (shortest < 0 || its < shortest) shortest = its;
  }
  return shortest;
}

/// Reads lines of stdin and applies the last one. False at the end of stdin.
bool obey(std::array<Lane, 2>& lanes) {
  std::array<char, 256> buffer;
  const ssize_t size = read(STDIN_FILENO, buffer.data(), buffer.size() - 1);
  if (size <= 0) return false;
  std::string_view lines(buffer.data(), static_cast<size_t>(size));
  lines.remove_suffix(lines.ends_with('\n') ? 1 : 0);
  const std::string last(lines.substr(lines.rfind('\n') + 1));
  std::array<int, 4> said{};
  if (sscanf(last.c_str(), "%d %d %d %d", &said[0], &said[1], &said[2], &said[3]) != 4) {
    fprintf(stderr, "wire: %s is not DELAY LOSS DELAY LOSS\n", last.c_str());
    exit(1);
  }
  for (size_t i = 0; i < lanes.size(); ++i) {
    lanes[i].delay = milliseconds(said[2 * i]);
    lanes[i].loss = said[2 * i + 1];
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fputs("usage: wire DEVICE DEVICE\n", stderr), 2;
  const int first = open_device(argv[1]);
  const int second = open_device(argv[2]);
  std::array<Lane, 2> lanes{{{first, second}, {second, first}}};
  std::mt19937 chance{std::random_device{}()};
  std::array<pollfd, 3> watched{
      {{STDIN_FILENO, POLLIN, 0}, {first, POLLIN, 0}, {second, POLLIN, 0}}};
  for (;;) {
    if (poll(watched.data(), watched.size(), until_next_frame(lanes)) < 0) give_up("poll");
    if (watched[0].revents != 0 && !obey(lanes)) return 0;
    for (Lane& lane : lanes) {
      lane.take_in(chance);
      lane.release_stdout();
    }
  }
}
