#pragma once
// The addon's functions about devices: loading their library, moving tensors, reading without
// waiting.

#include <napi.h>

namespace kindling {

class Environment;

/// openDevices, deviceReport, deviceInfo, deviceStats, deviceDo, deviceOption, transfer, read.
void exportDevices(Napi::Env env, Napi::Object exports, Environment* environment);

}  // namespace kindling
