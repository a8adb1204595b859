// The documentation site: the Markdown files of the repository where they are, as GitHub shows them.
// docs/README.md is the menu.
import fs from 'node:fs'
import path from 'node:path'
import { slug } from 'github-slugger'
import { defineConfig } from 'vitepress'

const root = path.resolve(import.meta.dirname, '../../../..')
const repository = 'https://github.com/qoqodev/active-standby-controller'

// target returns where on the site a link of a page leads, or on GitHub if it leads to a file that is no page.
function target(page, href) {
  if (href === '' || href.startsWith('#') || /^[a-z]+:/.test(href)) return href
  const [link, fragment] = href.split('#')
  const file = path.join(path.dirname(page), decodeURI(link))
  const found = fs.statSync(file, { throwIfNoEntry: false })
  if (!found) throw new Error(`${page}: there is no ${file}`)
  const source = found.isDirectory() ? path.join(file, 'README.md') : file
  if (!source.endsWith('.md') || !fs.existsSync(source)) {
    return `${repository}/${found.isDirectory() ? 'tree' : 'blob'}/main/${path.relative(root, file)}`
  }
  return '/' + path.relative(root, source).replace(/(README)?\.md$/, '') + (fragment ? '#' + fragment : '')
}

function links(md) {
  md.core.ruler.push('links', ({ tokens, env }) => {
    for (const token of tokens.flatMap(t => t.children ?? [])) {
      if (token.type === 'link_open') token.attrSet('href', target(env.realPath ?? env.path, token.attrGet('href')))
    }
  })
}

// sidebar returns the menu: each table of docs/README.md is a group, and the link in each row an entry.
function sidebar() {
  const index = path.join(root, 'docs/README.md')
  const text = fs.readFileSync(index, 'utf8')
  for (const page of fs.readdirSync(path.dirname(index))) {
    if (page.endsWith('.md') && page !== 'README.md' && !text.includes(`](${page})`)) throw new Error(`docs/README.md does not name ${page}`)
  }
  return text.split(/^(?=\| .* \| \|$)/m).slice(1).map(table => ({
    text: capital(/^\| (.*?) \|/.exec(table)[1]),
    items: [...table.matchAll(/^\| \[(.*?)\]\((.*?)\)/gm)].map(([, name, href]) => ({ text: capital(name), link: target(index, href) })),
  }))
}

const capital = text => text.startsWith('kubectl') ? text : text[0].toUpperCase() + text.slice(1)

export default defineConfig({
  title: 'active-standby-controller',
  description: 'All traffic of a Kubernetes Service goes to one of its pods',
  lang: 'en',
  base: process.env.SITE_BASE || '/',
  srcDir: root,
  srcExclude: ['bin/**', 'dist/**', '**/node_modules/**'],
  outDir: path.join(root, 'bin/site'),
  rewrites: id => id.replace(/(^|\/)README\.md$/, '$1index.md'),
  cleanUrls: true,
  markdown: {
    anchor: { slugify: text => slug(text) },
    languageAlias: { console: 'shellsession' },
    config: links,
  },
  themeConfig: {
    nav: [
      { text: 'Tutorial', link: '/docs/tutorial' },
      { text: 'Documents', link: '/docs/' },
      { text: 'Reference', link: '/docs/reference' },
    ],
    sidebar: sidebar(),
    outline: 'deep',
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: repository }],
    editLink: { pattern: `${repository}/edit/main/:path`, text: 'Edit this page' },
  },
  vite: {
    // The pages are outside of this folder, so that what they import is not found in its node_modules. On the server node finds it.
    plugins: [{
      name: 'vue-of-pages',
      enforce: 'pre',
      resolveId: (id, importer, { ssr }) => ssr && /^vue($|\/)/.test(id) ? { id, external: true } : null,
    }],
    publicDir: false,
  },
})
