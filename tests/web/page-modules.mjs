// The modules of the page, for tests without a browser.

/** Import modules of the page. Return all that they export. */
export const pageModules = async (...names) =>
  Object.assign({}, ...(await Promise.all(names.map((name) => import(`../../runtime/web/page/${name}`)))));
