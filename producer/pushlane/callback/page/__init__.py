"""The page for operators at ``/``, behind a login: HTML from templates, one stylesheet, no JavaScript.

A request goes through ``site``, which checks who asks (``sessions``, ``csrf``) in a thread of ``threads``, runs a view
there, and renders what it returns.

::

    site        the routes, and what they share
    login       login and logout
    view        what a view gets and returns
    views       the views, each with its path
    framed      what all views show: what an act has done, and whether the page updates itself
    told        what an act has done, as an address and as a sentence
    fleet       all channels, read once for all who look
    runs        replays and purges that go on while nobody waits
    parameters  what views read from an address or a form
    chart       the chart of a channel's last hour
    formats     how values look
    refusals    why a request gets no page
    answers     pages as responses: templates, and the headers of every page
    forms       what a form or a query may contain
    cookies     the cookies: reading, setting, and whether the browser speaks https
    csrf        whether a form was sent by a page of ours
    sessions    who is logged in
    tries       how often somebody may try to log in
    threads     a few threads for what blocks, so that moderation never waits
    templates   HTML; static: the stylesheet
"""
