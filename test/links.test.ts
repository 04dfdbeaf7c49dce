// Documents lead somewhere: every relative link of every page is a file, and its anchor a place of that page.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

const below = ['docs', 'protocols'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(root, folder, name)),
)
const pages = [...below, ...readdirSync(root).map((name) => join(root, name))].filter((path) => path.endsWith('.md'))

/** As the usual viewers make them of headings, and those that stand there by name. */
const anchors = (text: string): readonly string[] => [
  ...[...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-'),
  ),
  ...[...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id),
]

it.for(pages.map((path) => relative(root, path)))('links of %s lead somewhere', (page) => {
  const path = join(root, page)
  const text = readFileSync(path, 'utf8').replaceAll(/^```.*?^```/gms, '')
  const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)].filter(([, link]) => {
    if (/^[a-z]+:/.test(link)) return false
    const [file, anchor] = link.split('#')
    const target = file === '' ? path : join(dirname(path), file)
    return !existsSync(target) || (anchor !== undefined && !anchors(readFileSync(target, 'utf8')).includes(anchor))
  })
  expect(broken.map(([, link]) => link)).toEqual([])
})
