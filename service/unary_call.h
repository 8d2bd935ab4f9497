// service/unary_call.h: what a unary call owns until gRPC is done with it.
// A client that does not read its answer still has it in our memory: what the
// request holds of its namespace's limits is given back only when the answer
// has left, or the client has.

#ifndef MNEME_SERVICE_UNARY_CALL_H_
#define MNEME_SERVICE_UNARY_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/message_allocator.h>

#include <memory>

namespace mneme::service {

// The part that does not depend on the method.
class CallOwned {
 public:
  virtual ~CallOwned() = default;

  // Destroyed with the call.
  std::shared_ptr<void> owned;

  // That of the call of `context`; null when its method has no UnaryCalls.
  static CallOwned* Of(grpc::CallbackServerContext& context) {
    return dynamic_cast<CallOwned*>(context.GetRpcAllocatorState());
  }
};

// Allocates the messages of a method's calls.
template <typename Request, typename Response>
class UnaryCalls final : public grpc::MessageAllocator<Request, Response> {
 public:
  grpc::MessageHolder<Request, Response>* AllocateMessages() override {
    return new Holder;
  }

 private:
  class Holder final : public grpc::MessageHolder<Request, Response>,
                       public CallOwned {
   public:
    Holder() {
      this->set_request(&request_);
      this->set_response(&response_);
    }
    void Release() override { delete this; }

   private:
    Request request_;
    Response response_;
  };
};

// The UnaryCalls of whatever method asks, which have no state and live for
// ever: SetMessageAllocatorFor_Append(AnyUnaryCalls()).
struct AnyUnaryCalls {
  template <typename Request, typename Response>
  operator grpc::MessageAllocator<Request, Response>*() const {
    static UnaryCalls<Request, Response> calls;
    return &calls;
  }
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_UNARY_CALL_H_
