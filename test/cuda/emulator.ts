/**
 * What these tests need: the CUDA backend on the emulator, with two devices. `npm test` builds it and sets the environment;
 * a test cannot, since native code reads the environment of the process.
 */
const { KINDLING_CUDA_LIBRARY: library, KINDLING_EMULATOR_DEVICES: devices } = process.env;

if (library === undefined || devices !== '2') {
  throw new Error(
    'the tests of devices run on the emulator: `npm test`, or build the target kindling_cuda_emulated with ' +
      '-DKINDLING_CUDA_EMULATOR=ON and set KINDLING_CUDA_LIBRARY to its path and KINDLING_EMULATOR_DEVICES to 2',
  );
}

export {};
