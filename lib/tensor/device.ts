/**
 * Devices as numbers and by name. A tensor carries its device's number; native code has the same ones.
 */
import { DeviceError } from '../errors';
import { native } from '../native';
import { cudaLibraries, missingLibrary } from '../cudaLibrary';
import { describe } from './shape';

/** Where a tensor's elements are: `'cuda'` means `'cuda:0'`. */
export type Device = 'cpu' | 'cuda' | `cuda:${number}`;

/** @internal The number of the CPU; that of `cuda:n` is n + 1. */
export const cpu = 0;

/** What came of looking for devices: `LoadState` of native/core/devices.h. */
export const LoadState = {
  ready: 0,
  noDriver: 1,
  driverTooOld: 2,
  noDevice: 3,
  failed: 4,
  notLoaded: 5,
  noLibrary: 6,
  otherVersion: 7,
} as const;

/** @internal As native code reports it. */
export interface DeviceReport {
  readonly state: number;
  readonly deviceCount: number;
  readonly driverVersion: number;
  readonly runtimeVersion: number;
  readonly isEmulated: boolean;
  readonly message: string;
}

/** @internal Loads the library where that has not been tried, and tells what came of it. */
export function openCuda(): DeviceReport {
  let report = native.deviceReport();
  if (report.state !== LoadState.notLoaded && report.state !== LoadState.noLibrary) return report;
  for (const file of cudaLibraries()) {
    report = native.openDevices(file);
    if (report.state !== LoadState.noLibrary) return report;
  }
  return report.state === LoadState.notLoaded
    ? { ...report, state: LoadState.noLibrary, message: missingLibrary() }
    : report;
}

function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
}

/** @internal In plain words. */
export function statusText(report: DeviceReport): string {
  const { state, deviceCount, driverVersion, runtimeVersion, message } = report;
  switch (state) {
    case LoadState.ready:
      return `${deviceCount} ${report.isEmulated ? 'emulated ' : ''}device${deviceCount === 1 ? '' : 's'}`;
    case LoadState.noDriver:
      return 'there is no NVIDIA driver on this machine';
    case LoadState.driverTooOld:
      return (
        `the NVIDIA driver is too old: it supports CUDA ${versionText(driverVersion)}, ` +
        `${versionText(runtimeVersion)} is needed`
      );
    case LoadState.noDevice:
      return 'the NVIDIA driver finds no GPU (or CUDA_VISIBLE_DEVICES hides them all)';
    case LoadState.noLibrary:
      return `the CUDA backend is not installed: ${message}`;
    case LoadState.otherVersion:
      return `the CUDA backend does not belong to this version of kindling: ${message}`;
    default:
      return `CUDA could not be started: ${message}`;
  }
}

/** @internal The device's name, as {@link Tensor.device} gives it. */
export function deviceName(code: number): Device {
  return code === cpu ? 'cpu' : `cuda:${code - 1}`;
}

/**
 * @internal The number of a device.
 * @throws TypeError for what names none; DeviceError where it is not there, with the reason.
 */
export function deviceCode(op: string, device: unknown): number {
  if (device === 'cpu') return cpu;
  const match = typeof device === 'string' ? /^cuda(?::(\d{1,3}))?$/.exec(device) : null;
  if (match === null) {
    throw new TypeError(`${op}: a device is 'cpu', 'cuda' or 'cuda:0' and so on, got ${describe(device)}`);
  }
  const index = Number((match[1] as string | undefined) ?? 0);
  const report = openCuda();
  if (report.state !== LoadState.ready)
    throw new DeviceError(`${op}: no device '${device as string}': ${statusText(report)}`);
  if (index >= report.deviceCount) {
    throw new DeviceError(`${op}: no device '${device as string}': ${statusText(report)}, counted from 0`);
  }
  return index + 1;
}

/** Not known before somebody asks, because KINDLING_DEVICE may name a device whose library is to be loaded. */
let defaultCode: number | undefined;

/** @internal */
export function defaultDeviceCode(): number {
  if (defaultCode === undefined) {
    const { KINDLING_DEVICE: name } = process.env;
    defaultCode = name === undefined || name === '' ? cpu : deviceCode('KINDLING_DEVICE', name);
  }
  return defaultCode;
}

/**
 * Has tensors made on `device` from now on, where no other is named: the layers' parameters, data, `zeros` and so on.
 * Results of operations are always on the device of the operands. At the start it is the CPU, or what the environment
 * variable KINDLING_DEVICE names.
 * @throws DeviceError where the device is not there, with the reason.
 */
export function setDefaultDevice(device: Device): void {
  defaultCode = deviceCode('setDefaultDevice', device);
}

/** The device of {@link setDefaultDevice}. */
export function defaultDevice(): Device {
  return deviceName(defaultDeviceCode());
}
