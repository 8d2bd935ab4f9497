#include "client/upkeep_command.h"

#include <ostream>

#include "base/status_macros.h"
#include "client/client.h"
#include "client/output.h"
#include "client/units.h"

namespace mneme::client {

absl::StatusOr<int> RunCompact(Context& context) {
  ASSIGN_OR_RETURN(Client * client, context.Open(kLongCallDeadline));
  ASSIGN_OR_RETURN(const v1::CompactResponse response, client->Compact());
  if (context.json()) {
    context.out() << ToJson(response) << std::endl;
  } else {
    context.out() << HumanBytes(static_cast<double>(response.bytes_before()))
                  << " before, "
                  << HumanBytes(static_cast<double>(response.bytes_after()))
                  << " after" << std::endl;
  }
  return kExitOk;
}

}  // namespace mneme::client
