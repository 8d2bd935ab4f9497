#include "service/stored.h"

#include <limits>
#include <string>
#include <vector>

namespace mneme::service {
namespace {

std::vector<memory::SessionName> NamesIn(const memory::Memory& memory,
                                         const std::string& space) {
  return memory.List(space, "", std::numeric_limits<size_t>::max());
}

uint64_t BytesIn(memory::Memory& memory, const std::string& space) {
  uint64_t bytes = 0;
  for (const memory::SessionName& name : NamesIn(memory, space)) {
    const auto session = memory.Describe(name);
    if (!session.ok()) continue;
    bytes += session->info.tokens * session->profile.token_bytes() +
             session->info.entry_bytes;
  }
  return bytes;
}

}  // namespace

Limits::Stored StoredIn(memory::Memory* memory) {
  return {.bytes =
              [memory](const std::string& space) {
                return BytesIn(*memory, space);
              },
          .sessions =
              [memory](const std::string& space) {
                return uint64_t{NamesIn(*memory, space).size()};
              }};
}

}  // namespace mneme::service
