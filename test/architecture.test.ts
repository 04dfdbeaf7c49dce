// The rules of the tree, held by reading the sources: who may import whom, where time and chance come from, what the core may not know.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { limits } from '../src/limits.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

function filesBelow(folder: string, pattern = /\.c?ts$/): readonly string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name) && !/(^|\/)(corpus|fixtures)\//.test(name))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .sort()
}

/** `fake-*.ts` plays a part for several tests. */
const isTest = (file: string): boolean => /\.(test|contract|bench)\.ts$|\/fake-[^/]+\.ts$/.test(file)
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** Comments gone, so that words in them break no rule. Strings stay. */
function code(file: string): string {
  return read(file).replace(
    /('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_, string: string | undefined) => string ?? '',
  )
}

/** What a file imports, from the root; packages by their name. */
function importsOf(file: string): readonly string[] {
  const found = code(file).matchAll(/(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)'([^']+)'/g)
  return [...found].map(([, name]) => (name.startsWith('.') ? normalize(join(dirname(file), name)) : name))
}

const product = [...filesBelow('src'), ...filesBelow('protocols'), ...filesBelow('conformance')].filter((file) => !isTest(file))
const local = (name: string): boolean => /^(src|protocols|conformance|test|bench|scripts)\//.test(name)

/** Each `file → import` that breaks the rule. */
function breaches(files: readonly string[], allowed: (name: string, file: string) => boolean): readonly string[] {
  return files.flatMap((file) =>
    importsOf(file)
      .filter((name) => local(name) && !allowed(name, file))
      .map((name) => `${file} → ${name}`),
  )
}

describe('imports', () => {
  it('are read from every form in which they are written', () => {
    expect(importsOf('src/cli/start.ts')).toEqual(expect.arrayContaining(['protocols/index.ts', 'src/main.ts', 'node:fs', 'src/config/load.ts']))
    expect(product.length).toBeGreaterThan(80)
  })

  it('a front end knows src/api.ts, its own folder and protocols/shared, nothing else', () => {
    const files = filesBelow('protocols').filter((file) => !isTest(file) && file !== 'protocols/index.ts')
    expect(
      breaches(files, (name, file) => {
        const [, protocol] = file.split('/')
        return name === 'src/api.ts' || name.startsWith(`protocols/${protocol}/`) || name.startsWith('protocols/shared/')
      }),
    ).toEqual([])
  })

  it('nothing in src but the commands that start nodes knows a front end, and they only the list of them', () => {
    expect(
      breaches(
        filesBelow('src').filter((file) => !isTest(file)),
        (name, file) =>
          !name.startsWith('protocols/') || (/^src\/cli\/(start|pair|conformance-own)\.ts$/.test(file) && name === 'protocols/index.ts'),
      ),
    ).toEqual([])
  })

  it('the core knows neither sockets, files, configuration readers nor the way a journal stores', () => {
    const files = filesBelow('src/core').filter((file) => !isTest(file))
    const common = [
      'src/api.ts',
      'src/errors.ts',
      'src/random.ts',
      'src/loop-gap.ts',
      'src/config/settings.ts',
      'src/journal/journal.ts',
      'src/journal/facts.ts',
    ]
    expect(breaches(files, (name) => name.startsWith('src/core/') || common.includes(name))).toEqual([])
    expect(
      files.flatMap((file) =>
        importsOf(file)
          .filter((name) => /^node:(fs|net|http|tls|dgram|child_process|worker_threads)/.test(name))
          .map((name) => `${file} → ${name}`),
      ),
    ).toEqual([])
  })

  it('the journal and leadership know no core', () => {
    const files = [...filesBelow('src/journal'), ...filesBelow('src/failover')].filter((file) => !isTest(file))
    const common = ['src/api.ts', 'src/errors.ts', 'src/random.ts', 'src/disk.ts', 'src/config/settings.ts']
    expect(breaches(files, (name) => /^src\/(journal|failover)\//.test(name) || common.includes(name))).toEqual([])
  })

  it('listeners know the interface, not the core', () => {
    expect(
      breaches(
        filesBelow('src/listen').filter((file) => !isTest(file)),
        (name) => /^src\/(listen\/|api\.ts|errors\.ts|config\/settings\.ts)/.test(name),
      ),
    ).toEqual([])
  })

  it('the product imports no test, script or bench', () => {
    expect(breaches(product, (name) => /^(src|protocols|conformance)\//.test(name))).toEqual([])
  })

  it('conformance is a client: it knows neither src nor protocols', () => {
    expect(breaches(filesBelow('conformance'), (name) => name.startsWith('conformance/'))).toEqual([])
  })

  it('every package that the product imports is a dependency, not one of development', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
    const packages = new Set(product.flatMap(importsOf).filter((name) => !local(name) && !name.startsWith('node:')))
    const names = [...packages].map((name) => (name.startsWith('@') ? name.split('/').slice(0, 2) : name.split('/').slice(0, 1)).join('/'))
    expect(names.filter((name) => !(name in dependencies))).toEqual([])
  })
})

describe('time, chance and disk', () => {
  const injected = [...filesBelow('src/core'), ...filesBelow('src/journal'), ...filesBelow('src/failover'), ...filesBelow('protocols')].filter(
    (file) => !isTest(file),
  )

  it('are handed in to core, journal, failover and protocols', () => {
    const forbidden =
      /\b(Date\.now|new Date\(\)|performance\.now|process\.hrtime|Math\.random|randomBytes|randomUUID|randomInt|getRandomValues|setTimeout|setInterval|setImmediate)\b/
    const found = injected.flatMap((file) =>
      code(file)
        .split('\n')
        .flatMap((line) => (forbidden.test(line) ? [`${file}: ${line.trim()}`] : [])),
    )
    expect(found).toEqual([])
  })

  it('the file system is reached by src/disk.ts, the configuration, certificates, the mounts, the command line and its drill and the ready file only', () => {
    const allowed = /^src\/(disk\.ts|listen\/credentials\.ts|config\/|cli\/|drill\/|pair\/|failover\/mounts\.ts)/
    expect(product.filter((file) => !allowed.test(file) && importsOf(file).some((name) => name.startsWith('node:fs')))).toEqual([])
  })
})

describe('the core and the journal', () => {
  it('name no protocol', () => {
    const words = /mqtt|amqp|stomp|openwire|\bsqs\b|\bsns\b|kinesis/i
    const files = [...filesBelow('src/core'), ...filesBelow('src/journal'), ...filesBelow('src/failover'), ...filesBelow('src/listen')].filter(
      (file) => !isTest(file),
    )
    const found = files.flatMap((file) =>
      code(file)
        .split('\n')
        .flatMap((line) => (words.test(line) ? [`${file}: ${line.trim()}`] : [])),
    )
    expect(found).toEqual([])
  })
})

describe('the house', () => {
  it('has a lock file without download addresses', () => {
    expect(read('package-lock.json')).not.toMatch(
      /"resolved":|https?:\/\/(?!(?:www\.)?(?:github\.com|opencollective\.com|paypal|tidelift|polar\.sh|buymeacoffee|patreon|feross))[^"]*\.tgz/,
    )
  })

  it('has a lock file that names the packages of every platform, or npm ci refuses it (node scripts/complete-lock.mjs)', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { optionalDependencies?: Record<string, string> }> }
    const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) => Object.entries(optionalDependencies))
    expect(wanted.filter(([name, version]) => /^\d/.test(version) && !(`node_modules/${name}` in packages))).toEqual([])
  })

  it('has exact versions of its dependencies', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as {
      dependencies: Record<string, string>
      devDependencies: Record<string, string>
    }
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) expect(version, name).toMatch(/^\d+\.\d+\.\d+/)
  })

  it('has no casts to any, no enums and no closing promises for later', () => {
    const found = product.filter((file) => /\bas any\b|^\s*(export )?(const )?enum /m.test(code(file)) || /\b(TODO|FIXME)\b/.test(read(file)))
    expect(found).toEqual([])
  })

  it('has suites that are described in full and whose first tier takes at most fourteen minutes', () => {
    const suites = JSON.parse(read('test/suites.json')) as Record<string, unknown>[]
    for (const suite of suites) {
      const { slices, ...described } = suite
      expect(Object.keys(described).sort(), String(suite.name)).toEqual(['command', 'name', 'needs', 'seconds', 'tier', 'what'])
      expect([1, 2]).toContain(suite.tier)
      // Sixteen commits one after the other have run all of it.
      expect(slices === undefined || (suite.tier === 2 && Number(slices) > 1 && Number(slices) <= 16), String(suite.name)).toBe(true)
    }
    expect(new Set(suites.map((suite) => suite.name)).size).toBe(suites.length)
    const seconds = suites.reduce(
      (sum, suite) => sum + (suite.tier === 1 ? Number(suite.seconds) : Number(suite.seconds) / Number(suite.slices ?? 16)),
      0,
    )
    expect(seconds).toBeLessThanOrEqual(14 * 60)
  })

  it('reaches each limit by the test that the registry names', () => {
    for (const [name, { reachedBy }] of Object.entries(limits)) {
      if (reachedBy === undefined) continue
      expect(existsSync(join(root, reachedBy)), reachedBy).toBe(true)
      expect(read(reachedBy), `${reachedBy} does not name ${name}`).toContain(name)
    }
  })

  it('keeps machine paths and addresses of registries out of its files', () => {
    const files = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n')
    const texts = files.filter((file) => /\.(c?ts|mjs|json|md|yaml|sh)$|^\.ci\//.test(file) && file !== 'test/architecture.test.ts')
    expect(texts.filter((file) => existsSync(join(root, file)) && /\/work\/|\/tmp\/contract/.test(read(file)))).toEqual([])
  })
})
