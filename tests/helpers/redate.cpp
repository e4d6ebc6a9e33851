// redate FILE SECONDS [BEGIN]: adds SECONDS to the times of a stored entry, but BEGIN to the begin
// of its run if it is given, and updates its checksum.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "src/entry/record.hpp"

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) return 2;
  std::ifstream in(argv[1], std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  auto record = memolock::decode(bytes);
  const auto payload = memolock::payload_offset(bytes);
  if (!record || !payload) {
    std::fprintf(stderr, "redate: %s is not an entry\n", argv[1]);
    return 1;
  }
  const std::chrono::seconds shift(std::strtol(argv[2], nullptr, 10));
  record->begun += argc == 4 ? std::chrono::seconds(std::strtol(argv[3], nullptr, 10)) : shift;
  record->ended += shift;
  bytes.replace(0, *payload, memolock::encode(*record));
  std::ofstream out(argv[1], std::ios::binary | std::ios::trunc);
  out << bytes;
  return out.flush() ? 0 : 1;
}
