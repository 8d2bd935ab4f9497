// service/stop_signal.h: SIGTERM and SIGINT as something to wait for.

#ifndef MNEME_SERVICE_STOP_SIGNAL_H_
#define MNEME_SERVICE_STOP_SIGNAL_H_

namespace mneme::service {

// From here on the first SIGTERM or SIGINT ends WaitForStopSignal, and the
// second one the process, at once and with status 130. SIGPIPE is ignored: a
// closed log or connection is no reason to end.
// Threads:  once in a process.
void CatchStopSignals();

// Returns the signal. REQUIRES: CatchStopSignals was called.
int WaitForStopSignal();

}  // namespace mneme::service

#endif  // MNEME_SERVICE_STOP_SIGNAL_H_
