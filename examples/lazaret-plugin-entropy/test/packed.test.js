import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { entropyOf } from '../src/entropy.js';
import { optionsSchema } from '../src/options.js';
import { judge } from '../src/packed.js';
import { code, elf, noise, pe } from './images.js';

const OPTIONS = { minEntropy: 7.2 };
/** @param {Buffer} file */
const namesIn = (file) => {
  const judged = judge(file, OPTIONS);
  assert.ok('detections' in judged);
  return judged.detections.map(({ name }) => name);
};

it('entropy is that of the bytes', () => {
  assert.equal(entropyOf(Buffer.alloc(1000)), 0);
  assert.equal(entropyOf(Buffer.from([0, 1, 2, 3])), 2);
  assert.equal(entropyOf(Buffer.from(Array.from({ length: 256 }, (_, value) => value))), 8);
  assert.ok(entropyOf(noise(4096)) > 7.9);
  assert.ok(entropyOf(code(4096)) < 6.5);
});

describe('a packed program', () => {
  for (const bits of /** @type {const} */ ([32, 64])) {
    for (const bigEndian of [false, true]) {
      it(`is found by its code: ELF, ${bits} bits, ${bigEndian ? 'big' : 'little'}-endian`, () => {
        assert.deepEqual(namesIn(elf(noise(4096), { bits, bigEndian })), ['Packed.HighEntropy']);
        assert.deepEqual(namesIn(elf(code(4096), { bits, bigEndian, sections: ['.text', 'UPX1'] })), [
          'Packed.UPX',
        ]);
        assert.deepEqual(namesIn(elf(code(4096), { bits, bigEndian, sections: ['.text', '.data'] })), []);
      });
    }
  }

  it('is found by its code, or by what its packer left: PE', () => {
    assert.deepEqual(namesIn(pe(noise(4096))), ['Packed.HighEntropy']);
    assert.deepEqual(namesIn(pe(code(4096), { names: ['UPX0', 'UPX1', '.rsrc'] })), ['Packed.UPX']);
    assert.deepEqual(namesIn(pe(code(4096), { names: ['.text', '.vmp0'] })), ['Packed.VMProtect']);
    assert.deepEqual(namesIn(pe(code(4096))), []);
  });

  it('is found by the mark of UPX in an ELF program without sections', () => {
    assert.deepEqual(namesIn(elf(code(4096), { mark: 'UPX!' })), ['Packed.UPX']);
  });

  it('says why, in words that name nothing of the guest unescaped', () => {
    const judged = judge(pe(noise(4096), { names: ['\x1b[2J'] }), OPTIONS);
    assert.ok('detections' in judged);
    const { description = '', attack } = judged.detections[0] ?? {};
    assert.match(description, /^The code in "\\u001b\[2J" has 7\.9\d bits/);
    assert.deepEqual(attack, ['T1027.002']);
  });
});

describe('what is not packed', () => {
  it('is the Node that runs this test, and this test', () => {
    assert.deepEqual(namesIn(readFileSync(import.meta.filename)), []);
    assert.deepEqual(namesIn(readFileSync('/bin/sh')), []);
  });

  it('is data, an object file, little of anything, and a program of the firmware', () => {
    assert.deepEqual(namesIn(pe(code(4096), { names: ['.text', '.data'] })), []);
    assert.deepEqual(namesIn(elf(noise(4096), { type: 1 })), []);
    assert.deepEqual(namesIn(elf(noise(512))), []);
    assert.deepEqual(namesIn(pe(noise(4096), { subsystem: 10 })), []);
    assert.deepEqual(namesIn(noise(4096)), []);
    assert.deepEqual(namesIn(Buffer.alloc(0)), []);
  });
});

describe('a malformed program', () => {
  const images = [elf(noise(2048), { sections: ['.text'] }), elf(noise(2048), { bits: 32 }), pe(noise(2048))];

  it('is judged, however short it is cut', () => {
    for (const image of images) {
      for (let length = 0; length < image.length; length += 7) namesIn(image.subarray(0, length));
    }
  });

  it('is judged, whatever stands in any byte of its headers', () => {
    for (const image of images) {
      for (let at = 4; at < 300; at++) {
        for (const value of [0, 1, 0x7f, 0xff]) {
          const changed = Buffer.from(image);
          changed[at] = value;
          judge(changed, OPTIONS);
        }
        const wild = Buffer.from(image);
        wild.fill(0xff, at, at + 8);
        judge(wild, OPTIONS);
      }
    }
  });

  it('that names the same bytes over and over is not looked at, and says so', () => {
    const image = pe(noise(2048), { names: Array.from({ length: 60 }, () => '.text') });
    for (let index = 0; index < 60; index++) image.writeUInt32LE(0x2000_0000, 0x40 + 120 + 40 * index + 36);
    assert.deepEqual(judge(image, OPTIONS), { limit: 'its regions overlap too often' });
  });
});

describe('options', () => {
  const { validate } = optionsSchema['~standard'];
  it('have defaults', () => {
    assert.deepEqual(validate({}), { value: { minEntropy: 7.2 } });
    assert.deepEqual(validate({ minEntropy: 7.5 }), { value: { minEntropy: 7.5 } });
  });

  it('are refused with their path', () => {
    for (const value of ['7', 5, 9, Number.NaN]) {
      assert.deepEqual(validate({ minEntropy: value }), {
        issues: [{ message: 'expected a number from 6 to 8', path: ['minEntropy'] }],
      });
    }
    assert.deepEqual(validate({ min: 7 }), {
      issues: [{ message: 'there is no such option', path: ['min'] }],
    });
    assert.deepEqual(validate(null), { issues: [{ message: 'expected a mapping' }] });
  });
});
