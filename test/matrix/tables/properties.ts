// Table 3.3, row `properties`: one property of each type, and what a list of pairs can hold that a map cannot.
import type { Typed } from '../notation.ts'
import { header, type Row, string, unsayable } from './row.ts'

/** By the canonical name of the type, as `x-amq-types` has it; the value of AMQP; its text. */
export const propertyTypes: readonly (readonly [type: string, typed: Typed, text: string])[] = [
  ['null', ['null', null], ''],
  ['boolean', ['boolean', true], 'true'],
  ['int8', ['byte', -128], '-128'],
  ['int16', ['short', -32_768], '-32768'],
  ['int32', ['int', -2_147_483_648], '-2147483648'],
  ['int64', ['long', -9_223_372_036_854_775_808n], '-9223372036854775808'],
  ['uint8', ['ubyte', 255], '255'],
  ['uint16', ['ushort', 65_535], '65535'],
  ['uint32', ['uint', 4_294_967_295], '4294967295'],
  ['uint64', ['ulong', 18_446_744_073_709_551_615n], '18446744073709551615'],
  // The shortest text that reads back as the same float of 32 bits, as Java writes it.
  ['float', ['float', Math.fround(0.1)], '0.1'],
  ['double', ['double', 0.1], '0.1'],
  ['char', ['char', 0x1f600], '😀'],
  ['timestamp', ['timestamp', 1_700_000_000_000], '1700000000000'],
  ['uuid', ['uuid', '00112233445566778899aabbccddeeff'], '00112233-4455-6677-8899-aabbccddeeff'],
  ['binary', ['binary', '00ff10'], '00ff10'],
  ['symbol', ['symbol', 'sym'], 'sym'],
]

export const ODD = 'grün: 😀 \\ line\nreturn\rend'

export const propertyRows: readonly Row[] = [
  {
    name: 'string property',
    table: '3.3 properties',
    said: { amqp: { applicationProperties: { p: string('x y') } }, stomp: header('p', 'x y') },
    to: { mqtt: unsayable('properties'), amqp: { seen: { applicationProperties: { p: string('x y') } } }, stomp: { seen: header('p', 'x y') } },
  },
  {
    name: 'string property of odd letters',
    table: '3.3 properties',
    said: { amqp: { applicationProperties: { p: string(ODD) } }, stomp: header('p', ODD) },
    to: { mqtt: unsayable('properties'), amqp: { seen: { applicationProperties: { p: string(ODD) } } }, stomp: { seen: header('p', ODD) } },
  },
  ...propertyTypes.map(
    ([type, typed, text]): Row => ({
      name: `${type} property`,
      table: '3.3 properties',
      said: { amqp: { applicationProperties: { p: typed } }, stomp: header('p', text, 'x-amq-types', `p=${type}`) },
      to: {
        mqtt: unsayable('properties'),
        amqp: { seen: { applicationProperties: { p: typed } } },
        stomp: { seen: header('p', text), rules: ['stomp-text-headers'], lost: ['propertyTypes'] },
      },
    }),
  ),
  {
    name: 'property that its type does not fit',
    table: '3.3 properties',
    said: { stomp: header('p', '300', 'q', 'x', 'x-amq-types', 'p=int8,q=nothing') },
    unsaid: { amqp: 'amqp-says' },
    to: { mqtt: unsayable('properties'), amqp: { seen: { applicationProperties: { p: string('300'), q: string('x') } } } },
  },
  {
    name: 'the same property twice',
    table: 'The canonical form: duplicates kept',
    said: { stomp: header('p', '1', 'p', '2') },
    unsaid: { amqp: 'amqp-says' },
    to: {
      mqtt: unsayable('properties'),
      amqp: { seen: { applicationProperties: { p: string('1') } }, rules: ['first-of-equal'], lost: ['properties'] },
    },
  },
  {
    name: 'property that is called like a header',
    table: '3.3 properties',
    said: { amqp: { applicationProperties: { receipt: string('r'), priority: string('high') } } },
    unsaid: { stomp: 'stomp-brokers-headers' },
    to: { mqtt: unsayable('properties'), stomp: { rules: ['stomp-own-headers'], lost: ['properties', 'properties'] } },
  },
]
